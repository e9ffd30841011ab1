"""What an assignment tells of itself: facts of its manifest, and when to cluster anew.

In: ``NewLabels``, the last run. Out: plain values. Promise: no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from typing import Any

import numpy as np

from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.labels import LabelBatch
from vdbcluster.pipeline.assign import Emerged, NewLabels
from vdbcluster.pipeline.last_run import LastRun

MANY_NEW = 0.5
"""Rows that came since a run, as a share of its own, from which it should be run again."""
NOISE_OVER, NOISE_ROWS = 0.1, 20
"""So much more of them than twice the run's share, and at least so many, are too much noise."""


def assign_facts(found: NewLabels) -> dict[str, Any]:
    """How many new rows came to which kind of label.

    ``rejoined``: rows that had a label (noise, or assigned since the run) and are in a cluster that
    formed.
    """
    noise, soft = found.assigned.labels == NOISE, found.assigned.soft
    return {
        "core": int(np.count_nonzero(~noise & ~soft)),
        "soft": int(np.count_nonzero(soft)),
        "noise": int(np.count_nonzero(noise)),
        "rejoined": len(found.rejoined),
    }


def emergence_facts(emerged: Emerged | None) -> dict[str, Any]:
    """Clusters that formed."""
    ids = [] if emerged is None else list(emerged.ids)
    rows = 0 if emerged is None else len(emerged.keys)
    return {"clusters": len(ids), "ids": ids, "rows": rows}


def advice(last: LastRun, now: Mapping[str, Any]) -> str:
    """Why it is time to cluster all rows again; empty if it is not. ``now``: of this assignment."""
    every = [*(one.facts["assign"] for one in last.since), now]
    rows, noise = (sum(int(one.get(name, 0)) for one in every) for name in ("rows", "noise"))
    before, name = last.run.facts["clustering"], last.run.run_id
    if rows > MANY_NEW * before["rows"]:
        return (
            f"{rows:,} rows have come since run {name}, which had {before['rows']:,}; it is time "
            "for vdbcluster run"
        )
    usual = before["noise"] / max(1, before["rows"])
    if noise >= NOISE_ROWS and noise > (2 * usual + NOISE_OVER) * rows:
        return (
            f"{noise / rows:.0%} of the rows that have come since run {name} are in no cluster "
            f"({usual:.0%} of its own); it is time for vdbcluster run"
        )
    return ""


def shared_paths(run: LabelBatch) -> dict[int, str]:
    """Of each cluster the layers that all its rows are in; nothing where there are no paths."""
    if run.path is None:
        return {}
    found: dict[int, list[str]] = {}
    for cluster, path in zip(run.cluster_id.tolist(), run.path.tolist(), strict=True):
        if cluster != NOISE:
            steps = (path or "").split("/")
            both = zip(found.get(cluster, steps), steps, strict=False)
            found[cluster] = [one for one, _ in takewhile(lambda pair: pair[0] == pair[1], both)]
    return {cluster: "/".join(steps) for cluster, steps in found.items()}
