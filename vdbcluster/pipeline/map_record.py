"""The layout of a run as its record keeps it.

In: a ``MapLayout``, its rows in the order of the plan's keys. Out: arrays for the record, and the
layout again. Promise: what comes back is what went in, to the last bit.

    keep_layout(runs, run_id, layout)
    recorded_layout(runs, run_id)
    has_written_map(runs.every(), identity, prefix)
"""

from __future__ import annotations

from collections.abc import Iterable

from vdbcluster.errors import VdbclusterError
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.maps import MapLayout
from vdbcluster.ports import RunStore

MAP = "map"


def keep_layout(runs: RunStore, run_id: str, layout: MapLayout) -> None:
    """In place of what the run has recorded."""
    space = {} if layout.space is None else {"space": layout.space}
    runs.save_arrays(run_id, {"flat": layout.flat, **space}, MAP)


def recorded_layout(runs: RunStore, run_id: str) -> MapLayout | None:
    """None where there is none, or a damaged one."""
    try:
        arrays = runs.load_arrays(run_id, MAP)
        flat, space = arrays["flat"], arrays.get("space")
    except (VdbclusterError, LookupError):
        return None
    fits = flat.shape[1:] == (2,) and (space is None or space.shape == (len(flat), 3))
    return MapLayout(flat, space) if fits else None


def has_written_map(every: Iterable[RunManifest], identity: str, prefix: str) -> bool:
    """Whether a run has, or may have, written places of rows of this collection, by this prefix.

    One that was taken back counts: places of rows that others have written since stay.
    """
    return any(
        one.identity == identity
        and one.settings.get("write", {}).get("label_prefix") == prefix
        and one.settings.get("map", {}).get("write", False)
        and one.state in ("writing", "written", "rolled-back")
        for one in every
    )
