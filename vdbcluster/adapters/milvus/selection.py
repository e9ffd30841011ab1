"""Which rows of a collection are meant, and whether there are such.

In: a collection, vector field, filter and partitions by name. Out: the field, the partitions.
Promise: no I/O; what is not there is told with what is.
"""

from __future__ import annotations

from dataclasses import dataclass

from vdbcluster.adapters.milvus.profile import DENSE_TYPES
from vdbcluster.errors import UsageError
from vdbcluster.model.collection import CollectionProfile, VectorField


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows of which collection. ``vector_field`` may be left out where there is one only.

    ``where`` is a filter expression of Milvus; no ``partitions`` means all of them.
    """

    collection: str
    vector_field: str = ""
    where: str = ""
    partitions: tuple[str, ...] = ()


def choose_vector(found: CollectionProfile, name: str = "") -> VectorField:
    """The vector field of that name, or the only one. Raises ``UsageError`` if that fails."""
    dense = [vector for vector in found.vectors if vector.type in DENSE_TYPES]
    listed = ", ".join(f"{v.name} ({v.type}, {v.dim})" for v in found.vectors) or "none"
    if not name and len(dense) == 1:
        return dense[0]
    if not name and dense:
        raise UsageError(f"{found.name!r} has several vector fields; choose one: {listed}")
    chosen = next((vector for vector in dense if vector.name == name), None)
    if chosen is None:
        raise UsageError(
            f"{found.name!r} has no dense vector field{f' {name!r}' if name else ''}; it has: "
            f"{listed}"
        )
    return chosen


def checked_partitions(found: CollectionProfile, wanted: tuple[str, ...]) -> tuple[str, ...]:
    if wanted and found.partition_key is not None:
        raise UsageError(
            f"{found.name!r} is partitioned by the field {found.partition_key!r}, so its "
            "partitions cannot be chosen by name; use a filter on that field"
        )
    unknown = [name for name in wanted if name not in found.partitions]
    if unknown:
        raise UsageError(
            f"{found.name!r} has no partition {unknown[0]!r}; it has: {', '.join(found.partitions)}"
        )
    return wanted
