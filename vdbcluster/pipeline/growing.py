"""The catalogue after an assignment: clusters have grown, and some have formed.

In: the catalogue as it is, the plan of the assignment, what emerged. Out: the catalogue to store.
Promise: no I/O; of the clusters there were only size and last run change; names, marks and lineage
stay as they are (growth is no event here: every few minutes it would drive the others out).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

import numpy as np

from vdbcluster.model.catalogue import Catalogue, CatalogueEntry, json_text, utc_text
from vdbcluster.model.labels import LabelPlan
from vdbcluster.model.matching import Event, EventKind
from vdbcluster.pipeline.assign import Emerged
from vdbcluster.pipeline.catalogue import Points, entries_of

EMERGED = "emerged"
"""What ``basis`` says in the event of a cluster that formed between two runs."""


def grown(
    held: Catalogue,
    plan: LabelPlan,
    emerged: Emerged | None,
    metric: str,
    *,
    run_id: str,
    now: datetime,
) -> Catalogue:
    """``held`` as it is once the plan is written; ``metric``: of the run."""
    more = Counter(plan.new.cluster_id.tolist())
    more.subtract(plan.old_cluster_id[plan.had_label].tolist())
    changed = [_sized(e, e.size + more[e.id], run_id, now) for e in held.live if more[e.id]]
    if emerged is not None:
        formed = entries_of(
            emerged.keys,
            Points(emerged.vectors, metric),
            emerged.clustering,
            emerged.stability,
            {},
            run_id=run_id,
            now=now,
            identity=held.identity,
            ids=np.array(emerged.ids),
        )
        changed += _born(formed.entries)
    return replace(held.having(changed), run_id=run_id)


def _sized(entry: CatalogueEntry, size: int, run_id: str, now: datetime) -> CatalogueEntry:
    return replace(entry, size=max(0, size), last_run=run_id, last_seen=utc_text(now))


def _born(entries: Iterable[CatalogueEntry]) -> list[CatalogueEntry]:
    """With the event that their lineage begins with."""
    return [
        replace(entry, lineage=json_text([{"run": entry.first_run} | birth(entry.id, entry.size)]))
        for entry in entries
    ]


def birth(cluster: int, rows: int) -> dict[str, object]:
    """The event as plain values."""
    event = Event(EventKind.BORN, cluster, before=0, after=rows, kept=0)
    return event.to_json() | {"basis": EMERGED}
