"""What the quality bench changes about rows or settings, to see how much the result hangs on it.

In: the name of a variant, which is all that is stored of it. Out: rows, and settings.

    min_cluster_size x0.8     that times what the rule chose for this set
    rows shuffled 1           in another order; the number is the seed
    rows dropped 1            without a tenth of them
    n_neighbors=30            this setting, of [neighbors] or [cluster]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from scripts._bench.quality_store import Result

DROPPED = 0.1
RESIZED = ("min_cluster_size x0.8", "min_cluster_size x1.2")
REORDERED = ("rows shuffled 1", "rows shuffled 2", "rows dropped 1", "rows dropped 2")
ROBUST = (*RESIZED, *REORDERED)
Sections = Mapping[str, Mapping[str, Any]]


def against(name: str, values: str) -> list[str]:
    """The variants of ``--against NAME VALUES``; ``ValueError`` if there is no such setting."""
    _section(name)
    return [f"{name}={value.strip()}" for value in values.split(",")]


def rows(variant: str, n: int) -> Any:
    """Which rows, in which order, ``(m,) int64``."""
    if not variant.startswith("rows "):
        return np.arange(n)
    seed = int(variant.split()[-1])
    order = np.random.default_rng(seed).permutation(n)
    return order if "shuffled" in variant else np.sort(order[round(DROPPED * n) :])


def sections(variant: str, plain: Result | None) -> Sections:
    """The settings of a variant; ``plain``: the result without it, which a factor refers to."""
    if " x" in variant:
        name, factor = variant.split(" x")
        if plain is None or name not in plain.get("recipe", {}):
            raise ValueError(f"{variant} needs the plain result first")
        return {_section(name): {name: round(float(factor) * plain["recipe"][name])}}
    if "=" in variant:
        name, value = variant.split("=")
        return {_section(name): {name: value}}
    return {}


def merged(first: Sections, second: Sections) -> dict[str, dict[str, Any]]:
    """Section by section; the second has the last word."""
    names = {**first, **second}
    return {name: {**first.get(name, {}), **second.get(name, {})} for name in names}


def _section(name: str) -> str:
    from vdbcluster.config.settings import ClusterSettings, NeighborSettings

    for section, known in (("neighbors", NeighborSettings), ("cluster", ClusterSettings)):
        if name in known.model_fields:
            return section
    raise ValueError(f"there is no setting {name!r} of [neighbors] or [cluster]")
