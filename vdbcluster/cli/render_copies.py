"""Duplicates and outliers of a run, in words."""

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
    return lines


def _duplicates(found: Mapping[str, Any]) -> str:
    if not found["surplus"]:
        return "none"
    return (
        f"{found['surplus']:,} rows could go: {found['exact_sets']:,} sets of equal rows, "
        f"{found['near_sets']:,} of near ones"
    )
