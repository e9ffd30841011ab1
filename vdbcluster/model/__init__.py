"""Frozen value types: the words that all layers share. No behaviour beyond their own invariants."""
