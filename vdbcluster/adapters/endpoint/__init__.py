"""What all adapters of OpenAI-compatible endpoints share: pauses, attempts, budgets, a store."""
