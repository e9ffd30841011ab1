"""Rows with their labels on their way into a table: pages, columns, batches.

    RowPage    rows as a collection holds them, with their labels
    Column     one column of a table, and what its values are
    RowBatch   rows as they go into the table

Promise: frozen; None is a value that a row does not have, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from vdbcluster.model.arrays import BoolArray, Float32Array, Keys
from vdbcluster.model.labels import LABEL_FIELDS, LabelBatch

Kind = Literal[
    "BOOL", "INT8", "INT16", "INT32", "INT64", "FLOAT", "DOUBLE", "TEXT", "JSON", "VECTOR", "NEAR"
]
"""``NEAR``: neighbours, a pair of lists: positions of rows in the table, and distances."""

LABELS = tuple(which for which in LABEL_FIELDS if not which.bare)
"""Those that a table has of its own; what rows hold under a bare name is a field of theirs."""


@dataclass(frozen=True, slots=True)
class Column:
    """``kind`` None: whatever the values turn out to be. ``many``: each value is a list of those.

    ``always``: there even if no row has a value. ``dim``: numbers in a vector.
    """

    name: str
    kind: Kind | None = None
    many: bool = False
    always: bool = True
    dim: int = 0


@dataclass(frozen=True, slots=True)
class TableShape:
    """``head`` and ``tail``: columns that are known; between them come those that rows bring."""

    head: tuple[Column, ...]
    tail: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class RowPage:
    """``m`` rows. ``values``: declared fields, ``m`` values each; ``rest``: the dynamic ones of
    each row, without labels; ``labels``: by suffix of ``LABELS``, None where a row has none.

    ``vectors (m, d) float32``, valid where ``present (m,) bool``; None where they were not asked
    for.
    """

    keys: Keys
    values: Mapping[str, Sequence[Any]]
    rest: Sequence[Mapping[str, Any]]
    labels: Mapping[str, Sequence[Any]]
    vectors: Float32Array | None = None
    present: BoolArray | None = None

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True, slots=True, eq=False)
class RowBatch:
    """``columns``: ``m`` values each by name; one that is not there is None for every row.

    ``rest``: values of each row in columns that nobody announced.
    """

    columns: Mapping[str, Sequence[Any]]
    rest: Sequence[Mapping[str, Any]]

    def __len__(self) -> int:
        return len(self.rest)


@dataclass(frozen=True, slots=True)
class Written:
    """``columns`` of the table; ``formulas``: cells of text that a spreadsheet would take for one.

    ``names``: of the columns, in their order; empty where every row tells its own.
    """

    rows: int = 0
    formulas: int = 0
    names: tuple[str, ...] = field(default=())


def labels_by_suffix(batches: Iterable[LabelBatch], keys: Keys) -> dict[str, list[Any]]:
    """The labels of the rows ``keys (m,)``, in any order and of other rows too, as ``RowPage``.

    An optional text that is empty counts as none.
    Where a key occurs twice, either label may be that of both.
    """
    found: dict[str, dict[Any, Any]] = {which.suffix: {} for which in LABELS}
    for batch in batches:
        of = batch.keys.tolist()
        for which, values in batch.columns():
            if which in LABELS:
                given = [
                    None if which.optional and value == "" else value for value in values.tolist()
                ]
                found[which.suffix].update(zip(of, given, strict=True))
    wanted = keys.tolist()
    return {suffix: [known.get(key) for key in wanted] for suffix, known in found.items()}
