"""Whole jobs for a notebook: run, assign, sweep, evaluate, compare, and a map of the rows.

In: an open collection. Out: what the command of the same name prints, as values.
Promise: the same code as the command line runs, with its checks, its lock and its record: what
``run`` writes here, ``vdbcluster rollback`` takes back there.

    with vdbcluster.open("docs.db", "docs", runs_dir="runs") as docs:
        found = vdbcluster.sweep(docs, truth="topic")
        before = vdbcluster.run(docs, cluster={"min_cluster_size": 10})
        ...
        after = vdbcluster.run(docs)
        print(vdbcluster.diff(docs, before.run_id, after.run_id).flows)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import ValidationError

from vdbcluster import layout
from vdbcluster.config.settings import Settings
from vdbcluster.errors import UsageError
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.pipeline.diff import Difference
from vdbcluster.wiring.assigning import assign_job
from vdbcluster.wiring.comparing import NOW, compare
from vdbcluster.wiring.evaluation import REPEATS, Evaluation
from vdbcluster.wiring.evaluation import evaluate as evaluate_job
from vdbcluster.wiring.library import SMOOTHED, Collection
from vdbcluster.wiring.main_job import run_job
from vdbcluster.wiring.sweep import Sweep
from vdbcluster.wiring.sweep import sweep as sweep_job

Section = Mapping[str, Any]


def run(
    docs: Collection, *, dry_run: bool = False, gated: bool = True, **sections: Section
) -> RunManifest:
    """Cluster the collection and write the labels, as ``vdbcluster run`` does.

    ``sections``: settings by section, such as ``cluster={"method": "leaf"}``; what is not said is
    as the collection was opened with. ``dry_run``: plan only. ``gated``: refuse a run beyond the
    limits of the section gate, as the command line does without ``--yes``. The record of the run
    tells what was measured (``facts``) and the clusters (``clusters``).

    Raises ``UsageError`` for a setting that cannot be, ``RefusedError`` where a safety check says
    no, ``LockedError`` if another run writes the same labels.
    """
    settings = _having(docs.settings, sections)
    return run_job(settings, docs.observer, dry_run=dry_run, gated=gated)


def assign_new(docs: Collection, *, dry_run: bool = False, **sections: Section) -> RunManifest:
    """Label the rows that came since the last run, as ``vdbcluster assign`` does; see ``run``."""
    return assign_job(_having(docs.settings, sections), docs.observer, dry_run=dry_run)


def sweep(
    docs: Collection,
    *,
    sizes: Sequence[int] = (),
    min_samples: Sequence[int] = (),
    truth: str = "",
    **sections: Section,
) -> Sweep:
    """What ``min_cluster_size`` and ``min_samples`` would give, from one neighbour pass.

    ``truth``: a field of known classes to compare with. Nothing is written.
    """
    return sweep_job(
        _having(docs.settings, sections),
        docs.observer,
        sizes=sizes,
        min_samples=min_samples,
        truth=truth,
    )


def evaluate(
    docs: Collection, *, truth: str = "", repeats: int = REPEATS, **sections: Section
) -> Evaluation:
    """How good the labels are that are stored; ``truth``: a field of known classes.

    ``repeats``: samples that stability is measured by; 0 clusters nothing. Raises ``UsageError`` if
    no row carries a label. Nothing is written.
    """
    settings = _having(docs.settings, sections)
    return evaluate_job(settings, docs.observer, truth=truth, repeats=repeats)


def diff(docs: Collection, before: str, after: str = NOW) -> Difference:
    """What differs between two runs, or a run and what is stored now: rows, flows, events.

    Runs by id, its beginning, or ``last``.
    """
    return compare(before, after, docs.settings, docs.observer).difference


def lay_out(
    graph: NeighborGraph,
    vectors: Float32Array,
    *,
    dimensions: Literal[2, 3] = 2,
    seed: int | None = 0,
    last: Float32Array | None = None,
) -> Float32Array:
    """Where rows lie on a map, ``(n, dimensions) float32``; NaN for one without neighbours.

    ``graph``: of ``neighbors``, not smoothed; UMAP takes it as it is, nothing is searched again.
    ``vectors (n, d)``: of the same rows. ``seed`` None: quicker, and another map every time.
    ``last (n, dimensions)``: a map to begin from, NaN for rows that are new.
    """
    if graph.metric in SMOOTHED:
        raise UsageError(f"a map needs the graph of neighbors, not one of {graph.metric}")
    return layout.lay_out(graph, vectors, layout.LayoutParams(dimensions, seed), last)


def _having(base: Settings, sections: Mapping[str, Section]) -> Settings:
    """``base`` with some settings said anew; checked as those of the command line are."""
    said: dict[str, Any] = {name: getattr(base, name) for name in type(base).model_fields}
    for name, values in sections.items():
        if name not in said:
            raise UsageError(f"there is no section {name!r} of the settings; see {sorted(said)}")
        try:
            said[name] = type(said[name])(**said[name].model_dump() | dict(values))
        except ValidationError as error:
            raise _wrong(name, error) from error
    try:
        return Settings(**said)
    except ValidationError as error:
        raise _wrong("", error) from error


def _wrong(section: str, error: ValidationError) -> UsageError:
    first = error.errors(include_url=False)[0]
    place = ".".join(filter(None, (section, *map(str, first["loc"][:1]))))
    message = first["msg"].removeprefix("Value error, ")
    return UsageError(f"the setting {place} is wrong: {message}" if place else message)
