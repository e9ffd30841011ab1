"""Duplicates and outliers of a run, and its map, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def copies_lines(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """For the summary of a run; nothing where nobody looked."""
    lines = []
    if found := facts.get("duplicates"):
        lines.append(("duplicates", _duplicates(found)))
    if found := facts.get("outliers"):
        told = f"{found['outliers']:,}, and {found['potential_outliers']:,} potential ones"
        lines.append(("outliers", told))
    if found := facts.get("map"):
        lines.append(("map", _map(found)))
    return lines


def _map(found: Mapping[str, Any]) -> str:
    told = f"{found['rows']:,} rows have a place"
    if not found["known"]:
        return told
    return f"{told}; {found['moved']:,} of {found['known']:,} that had one before have moved"


def _duplicates(found: Mapping[str, Any]) -> str:
    if not found["surplus"]:
        return "none"
    return (
        f"{found['surplus']:,} rows could go: {found['exact_sets']:,} sets of equal rows, "
        f"{found['near_sets']:,} of near ones"
    )
