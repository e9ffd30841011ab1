"""Frozen settings, validated once."""
