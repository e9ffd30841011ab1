"""The labels that a collection carries, whichever way was used to write them.

In: an open ``Bench``. Out: what reads them; all of them. Promise: only reads; where there are none
it is said why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from vdbcluster.adapters.milvus.writeback import LabelSettings, choose_sink
from vdbcluster.errors import RefusedError, UsageError
from vdbcluster.model.labels import LabelBatch
from vdbcluster.ports import LabelSink
from vdbcluster.wiring.bench import Bench
from vdbcluster.wiring.named import label_settings


def stored_labels(bench: Bench) -> tuple[str, list[LabelBatch]]:
    """Where labels are found, and all of them; see ``label_sink``."""
    sink = label_sink(bench)
    if sink.way.stale:
        bench.observer.warn(sink.way.stale)
    return sink.way.target, [batch for batch in sink.stored() if len(batch)]


def label_sink(bench: Bench) -> LabelSink:
    """What reads the labels there are, whichever way was used to write them.

    ``UsageError`` if there are none; ``RefusedError`` if none can be read for a reason.
    """
    refused: RefusedError | None = None
    for way in _ways(label_settings(bench.settings)):
        try:
            sink = choose_sink(bench.connection, bench.source.selection, way, dry_run=True)
        except RefusedError as error:
            refused = refused or error
            continue
        if any(len(batch) for batch in sink.stored()):
            return sink
    if refused:
        raise refused
    raise no_label(bench)


def no_label(bench: Bench) -> UsageError:
    """That the selection has none, and why that may be."""
    name, chosen = bench.source.found.name, bench.source.selection
    if chosen.where or chosen.partitions:
        return UsageError(
            f"no selected row of {name!r} carries a label; check --filter and --partition, or run "
            "vdbcluster run first"
        )
    return UsageError(
        f"{name!r} carries no labels yet; run vdbcluster run first (or name the prefix that they "
        "were written under: --label-prefix)"
    )


def _ways(asked: LabelSettings) -> Iterator[LabelSettings]:
    """The way that would be written now, then the others that labels can have been written."""
    yield asked
    if asked.way == "auto":
        yield replace(asked, allow_full_upsert=True)
        yield replace(asked, way="side-collection")
