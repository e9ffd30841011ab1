"""The rows of a catalogue in Milvus: schema, and entries to rows and back.

In: entries, and the key and vector field of the collection whose clusters they are. Out: a schema,
rows to upsert, entries from rows. Promise: keys come back as they were, whatever they hold; what
somebody else has written and cannot be read is told with cluster and column.

Every type is one that servers have had since 2.3, so that one schema serves all of them:

==================================  ========================================================
``cluster_id`` INT64, key           as in the labels; noise has no row
``name``, ``description`` VARCHAR   512 and 8,192 bytes
``keywords`` VARCHAR                JSON array of text, the most telling first
``size`` INT64                      rows, 0 if retired
``centroid`` FLOAT_VECTOR           indexed by the metric of the collection. Of binary vectors
                                    there is no mean: two zeros under the name ``no_centroid``
``medoid_key``                      type and length of the collection's own key
``exemplar_keys`` VARCHAR           JSON array of keys: text or whole numbers
``persistence`` DOUBLE              in [0, 1]
``stability`` DOUBLE                in [0, 1]; -1 if not measured, so that ``>= 0.75`` leaves it
                                    out. Null needs 2.5, and NaN is no JSON
``state`` VARCHAR                   ``live``, ``retired`` or ``merged``
``merged_into`` INT64               the cluster that people merged it into, -1 if none
``pinned``, ``hidden`` BOOL         said by people
``lineage`` VARCHAR                 JSON array of events, oldest first
``first_run``, ``first_seen``       run id; time such as ``2026-03-01T03:00:00Z``, which sorts
``last_run``, ``last_seen``         the same of the run that last found it
``run_id`` VARCHAR                  the run that wrote the catalogue: one for all rows
==================================  ========================================================

Catalogues of earlier versions lack ``merged_into``, and nothing in them is merged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vdbcluster.adapters.milvus.decode import vectors_of
from vdbcluster.errors import BackendError
from vdbcluster.model.catalogue import (
    DESCRIPTION_BYTES,
    EXEMPLARS_BYTES,
    KEYWORDS_BYTES,
    LINEAGE_BYTES,
    NAME_BYTES,
    RUN_ID_BYTES,
    CatalogueEntry,
    ClusterState,
    json_text,
)
from vdbcluster.model.collection import KeyField, VectorField

ID, MEDOID, CENTROID, NO_CENTROID = "cluster_id", "medoid_key", "centroid", "no_centroid"
MERGED_INTO = "merged_into"
LATER = (MERGED_INTO,)
"""Columns that catalogues of earlier versions lack."""
METRICS = ("COSINE", "IP", "L2")
BATCH_ROWS = 1000
BATCH_BYTES = 8 * 1024 * 1024
_NOT_MEASURED = -1.0
_NOWHERE = -1
_TEXTS = {
    "name": NAME_BYTES,
    "description": DESCRIPTION_BYTES,
    "state": 16,
    "first_run": RUN_ID_BYTES,
    "first_seen": 32,
    "last_run": RUN_ID_BYTES,
    "last_seen": 32,
    "run_id": RUN_ID_BYTES,
}
_LISTS = {
    "keywords": KEYWORDS_BYTES,
    "exemplar_keys": EXEMPLARS_BYTES,
    "lineage": LINEAGE_BYTES,
}
_SCALARS = {
    "size": "INT64",
    "persistence": "DOUBLE",
    "stability": "DOUBLE",
    "pinned": "BOOL",
    "hidden": "BOOL",
    MERGED_INTO: "INT64",
}
COLUMNS = (ID, MEDOID, *_TEXTS, *_LISTS, *_SCALARS)
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Layout:
    """``key`` and ``vector`` are those of the collection whose clusters the entries are."""

    key: KeyField
    vector: VectorField

    @property
    def centroid(self) -> VectorField:
        """The vector field of the catalogue."""
        if self.vector.type == "BINARY_VECTOR":
            return VectorField(NO_CENTROID, "FLOAT_VECTOR", 2, "L2", "FLAT")
        metric = self.vector.metric if self.vector.metric in METRICS else "COSINE"
        return VectorField(CENTROID, "FLOAT_VECTOR", self.vector.dim, metric, "FLAT")

    def schema(self, client: Any, description: str) -> Any:
        """The schema for ``create_collection``."""
        from pymilvus import DataType

        schema = client.create_schema(
            auto_id=False, enable_dynamic_field=False, description=description
        )
        schema.add_field(ID, DataType.INT64, is_primary=True)
        length = {"max_length": self.key.max_length or 65_535}
        text = self.key.type == "VARCHAR"
        schema.add_field(MEDOID, DataType[self.key.type], **(length if text else {}))
        for name, limit in (_TEXTS | _LISTS).items():
            schema.add_field(name, DataType.VARCHAR, max_length=limit)
        for name, kind in _SCALARS.items():
            schema.add_field(name, DataType[kind])
        schema.add_field(self.centroid.name, DataType.FLOAT_VECTOR, dim=self.centroid.dim)
        return schema

    def check(self, entries: Iterable[CatalogueEntry]) -> None:
        """``ValueError`` if an entry is not of this collection: by its centroid or its keys."""
        binary = self.centroid.name == NO_CENTROID
        kind = str if self.key.type == "VARCHAR" else int
        for entry in entries:
            if not binary and (entry.centroid is None or len(entry.centroid) != self.vector.dim):
                raise ValueError(
                    f"cluster {entry.id} needs a centroid of {self.vector.dim} values, as "
                    f"{self.vector.name!r} has"
                )
            if not all(isinstance(key, kind) for key in (entry.medoid_key, *entry.exemplar_keys)):
                raise ValueError(f"keys of cluster {entry.id} must be {self.key.type}")

    def row(self, entry: CatalogueEntry, run_id: str) -> Row:
        """One row, of an entry that is ``fitted``."""
        stability = _NOT_MEASURED if entry.stability is None else entry.stability
        centroid = [0.0, 0.0] if self.centroid.name == NO_CENTROID else entry.centroid
        return {
            ID: entry.id,
            MEDOID: entry.medoid_key,
            "name": entry.name,
            "description": entry.description,
            "state": str(entry.state),
            "first_run": entry.first_run,
            "first_seen": entry.first_seen,
            "last_run": entry.last_run,
            "last_seen": entry.last_seen,
            "run_id": run_id,
            "keywords": json_text(entry.keywords),
            "exemplar_keys": json_text(entry.exemplar_keys),
            "lineage": entry.lineage,
            "size": entry.size,
            "persistence": float(entry.persistence),
            "stability": float(stability),
            "pinned": entry.pinned,
            "hidden": entry.hidden,
            MERGED_INTO: _NOWHERE if entry.merged_into is None else entry.merged_into,
            self.centroid.name: centroid,
        }

    def entries(self, rows: list[Any]) -> Iterator[CatalogueEntry]:
        """Entries from a page of rows as the client returns them."""
        vectors, _ = vectors_of(rows, self.centroid)
        for row, vector in zip(rows, vectors, strict=True):
            centroid = None if self.centroid.name == NO_CENTROID else np.array(vector, np.float32)
            try:
                yield _entry(row, centroid)
            except (ValueError, TypeError, KeyError) as error:
                raise BackendError(
                    f"cluster {row[ID]} in the catalogue holds what cannot be read: {error}; mend "
                    "or delete its row"
                ) from error


def batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows for one call each, bounded in number and bytes."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        needed = sum(_bytes(value) for value in row.values())
        if batch and (len(batch) == BATCH_ROWS or size + needed > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += needed
    if batch:
        yield batch


def _bytes(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode())
    return int(value.nbytes) if isinstance(value, np.ndarray) else 8


def _entry(row: Mapping[str, Any], centroid: np.ndarray | None) -> CatalogueEntry:
    stability, heir = float(row["stability"]), row.get(MERGED_INTO, _NOWHERE)
    _list(row, "lineage")
    return CatalogueEntry(
        id=row[ID],
        size=row["size"],
        medoid_key=row[MEDOID],
        exemplar_keys=_list(row, "exemplar_keys"),
        centroid=centroid,
        name=row["name"],
        description=row["description"],
        keywords=_list(row, "keywords"),
        persistence=row["persistence"],
        stability=None if stability == _NOT_MEASURED else stability,
        state=ClusterState(row["state"]),
        pinned=row["pinned"],
        hidden=row["hidden"],
        lineage=row["lineage"],
        first_run=row["first_run"],
        first_seen=row["first_seen"],
        last_run=row["last_run"],
        last_seen=row["last_seen"],
        merged_into=None if heir == _NOWHERE else heir,
    )


def _list(row: Mapping[str, Any], name: str) -> tuple[Any, ...]:
    try:
        found = json.loads(row[name])
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is no JSON ({error})") from error
    if not isinstance(found, list):
        raise ValueError(f"{name} is no JSON array")
    return tuple(found)
