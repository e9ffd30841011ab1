"""What is told to others of runs: metrics, webhooks, structured logs."""
