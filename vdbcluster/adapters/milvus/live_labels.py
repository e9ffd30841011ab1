"""Where labels can be read now, and the words that choose rows by them.

In: a connection, a selection, ``LabelFields``. Out: ``Place``; ``LiveLabel`` of a row; filters.
Promise: only reads; a side collection of an earlier collection of the same name is not taken for
that of this one. Where both hold labels, those of the run that the catalogue tells of count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.errors import backend_errors
from vdbcluster.adapters.milvus.expressions import literal
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.adapters.milvus.writeback.own import labels_of
from vdbcluster.adapters.milvus.writeback.side import side_name
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.labels import LabelFields
from vdbcluster.model.live import Chosen, LiveLabel


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """``source``: the rows that are selected. ``side``: the side collection, where labels are in
    one. ``names``: our fields that rows of the one or the other can have.
    """

    source: MilvusSource
    side: MilvusSource | None
    names: tuple[str, ...]

    @property
    def told(self) -> str:
        """In a few words."""
        if self.side is not None:
            return f"the side collection {self.side.selection.collection!r}"
        return "fields of the rows" if self.names else "nowhere: no run has labelled rows yet"


def find_place(
    connection: MilvusConnection, selection: Selection, fields: LabelFields, page_bytes: int
) -> Place:
    """As it is now. Lite opens collections released; ours are loaded wherever they are."""
    source = MilvusSource(connection, selection, page_bytes)
    if connection.is_lite and not source.found.loaded:
        source.load()
        source = MilvusSource(connection, selection, page_bytes)
    inside = readable(source.found, fields)
    side = _side_of(connection, source, fields)
    if side is None or (inside and _has_newer(connection, source, side, fields)):
        return Place(source, None, inside)
    return Place(source, side, readable(side.found, fields))


def readable(found: CollectionProfile, fields: LabelFields) -> tuple[str, ...]:
    """Our fields that rows can have; none without an id of a cluster and of a run."""
    names = tuple(n for n in fields.every if found.dynamic or found.scalar(n))
    return names if {fields.cluster_id, fields.run_id} <= set(names) else ()


def _side_of(
    connection: MilvusConnection, source: MilvusSource, fields: LabelFields
) -> MilvusSource | None:
    name = side_name(source.found.name, fields)
    there = connection.ask(
        f"looking for {name!r}",
        lambda client, limit: client.has_collection(name, timeout=limit),
    )
    if not there:
        return None
    side = MilvusSource(connection, Selection(name))
    if side.vector.name != labels_of(source.found.identity):
        return None
    if not side.found.loaded:
        side.load()
    return side


def _has_newer(
    connection: MilvusConnection, rows: MilvusSource, side: MilvusSource, fields: LabelFields
) -> bool:
    """Whether a row holds a label of a run that is later than one of the side collection."""
    inside = _some_run(connection, rows, fields)
    return inside > _some_run(connection, side, fields) if inside else False


def _some_run(connection: MilvusConnection, source: MilvusSource, fields: LabelFields) -> str:
    """The id of a run, which begins with its time; empty where no row has one."""
    try:
        found = connection.raw(
            lambda client, limit: client.query(
                source.selection.collection,
                filter=f'{fields.run_id} > ""',
                output_fields=[fields.run_id],
                limit=100,
                timeout=limit,
            )
        )
    except backend_errors():
        return ""
    return max((str(row.get(fields.run_id) or "") for row in found), default="")


def label_filter(chosen: Chosen, fields: LabelFields) -> str:
    """The rows that ``chosen`` names by their labels; empty where it names none."""
    clusters = sorted({c for c in chosen.clusters if c != NOISE})
    ways = [f"{fields.cluster_id} in [{', '.join(map(str, clusters))}]"] if clusters else []
    if NOISE in chosen.clusters:  # a column that must hold something holds -1 for no label too
        ways.append(f'({fields.cluster_id} == {NOISE} and {fields.run_id} > "")')
    parts = [f"({' or '.join(ways)})"] if ways else []
    if chosen.assignment:
        parts.append(f"{fields.assignment} == {literal(chosen.assignment)}")
    if chosen.copies:
        parts.append(f'{fields.prefix}duplicate_of > ""')
    return " and ".join(parts)


def needed(chosen: Chosen, fields: LabelFields) -> set[str]:
    """Our fields that ``label_filter`` speaks of."""
    names = {fields.cluster_id, fields.run_id}
    names |= {fields.assignment} if chosen.assignment else set()
    return names | ({f"{fields.prefix}duplicate_of"} if chosen.copies else set())


def label_of(row: Mapping[str, Any], fields: LabelFields) -> LiveLabel | None:
    """None where no run has labelled the row, which a whole number and the id of a run tell."""
    cluster, run = row.get(fields.cluster_id), row.get(fields.run_id)
    if type(cluster) is not int or not isinstance(run, str) or not run:
        return None

    def text(suffix: str) -> str:
        value = row.get(f"{fields.prefix}{suffix}")
        return value if isinstance(value, str) else ""

    def number(suffix: str) -> float:
        value = row.get(f"{fields.prefix}{suffix}")
        return float(value) if isinstance(value, int | float) else 0.0

    return LiveLabel(
        cluster=cluster,
        probability=number("probability"),
        outlier_score=number("outlier_score"),
        run_id=run,
        assignment=text("assignment"),
        path=text("path"),
        duplicate_of=text("duplicate_of"),
    )
