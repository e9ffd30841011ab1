"""Texts on their way into a collection, before and after they have vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vdbcluster.model.arrays import Float32Array


@dataclass(frozen=True, slots=True)
class TextRow:
    """One row of a source: ``key`` identifies it for good, ``fields`` are kept as they are."""

    key: str
    text: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedBatch:
    """Rows with their vectors, ``(len(rows), d) float32``, in the same order."""

    rows: tuple[TextRow, ...]
    vectors: Float32Array


@dataclass(frozen=True, slots=True)
class IngestReport:
    """``read`` rows of the source, ``repeated`` keys left out, rows ``stored`` at the end."""

    read: int
    repeated: int
    written: int
    stored: int
    dim: int
