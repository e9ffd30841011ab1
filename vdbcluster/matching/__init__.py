"""Matching of clusterings: stable ids and lineage."""
