"""Labels on their way into the collection: what is stored, what is planned, what was written.

``LABEL_FIELDS`` is the one list of the fields that we own: schemas are made, rows are encoded and
read by it. A field more is a line there and a column of ``LabelBatch``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Literal

import numpy as np

from vdbcluster.model.arrays import BoolArray, Float32Array, Int8Array, Int32Array, Int64Array, Keys
from vdbcluster.model.collection import KeyField

WayName = Literal[
    "add-field",
    "partial-upsert",
    "lite-merge",
    "guarded-upsert",
    "side-collection",
    "memory",
]
Extra = Literal["path", "duplicate_of", "map_x", "map_y"]
"""Optional fields, by their suffix."""
MAP_FIELDS: tuple[Extra, ...] = ("map_x", "map_y")
PREFIX = "cluster_"
"""Of the names of our fields where nobody says otherwise."""
INT64_TEXT = 20
"""Characters of the longest INT64: its sign and 19 digits."""
LONGEST_KEY = 65_535
"""Of a VARCHAR, where the collection does not tell."""


@dataclass(frozen=True, slots=True)
class LabelField:
    """A field that we own: its name after the prefix, and the column of ``LabelBatch`` it holds.

    ``max_length``: of a VARCHAR that we make; one of the user's may be as short as ``min_length``.
    ``optional``: written only if the labels have it. ``later``: rows that an earlier version has
    labelled lack it; what they hold under its name is not ours unless they have an assignment.
    ``of_key``: it holds the key of another row as text, and is as long as keys of the collection
    may be (``sized``); that it is empty says something too, which a row that lacks it does not.
    ``bare``: called without the usual prefix, as a field of the user's may be: it is ours only
    where a run asks for it. One that does not leaves what is there.
    """

    suffix: str
    column: str
    type: Literal["INT64", "FLOAT", "VARCHAR"]
    max_length: int = 0
    min_length: int = 0
    optional: bool = False
    later: bool = False
    of_key: bool = False
    bare: bool = False

    def sized(self, key: KeyField) -> LabelField:
        """The same with room for any ``key``, if it holds keys: cut short, one names another."""
        if not self.of_key:
            return self
        longest = INT64_TEXT if key.type == "INT64" else key.max_length or LONGEST_KEY
        return replace(self, max_length=longest, min_length=longest)


LABEL_FIELDS = (
    LabelField("id", "cluster_id", "INT64"),
    LabelField("probability", "probability", "FLOAT"),
    LabelField("outlier_score", "outlier_score", "FLOAT"),
    LabelField("run_id", "run_ids", "VARCHAR", 128, 32),
    LabelField("assignment", "assignment", "VARCHAR", 16, 5, later=True),
    LabelField("path", "path", "VARCHAR", 4096, 256, optional=True, later=True),
    LabelField("duplicate_of", "duplicate_of", "VARCHAR", optional=True, later=True, of_key=True),
    LabelField("map_x", "map_x", "FLOAT", optional=True, later=True, bare=True),
    LabelField("map_y", "map_y", "FLOAT", optional=True, later=True, bare=True),
)


@dataclass(frozen=True, slots=True)
class LabelFields:
    """Names of the fields that we own; nothing else is ever written.

    ``extras``: the optional fields for which a run wants room. ``unwritten``: those of them that no
    run has written so far: what rows hold there is somebody else's, whatever label they have.
    """

    prefix: str = PREFIX
    extras: tuple[Extra, ...] = ()
    unwritten: tuple[Extra, ...] = ()

    def name(self, which: LabelField) -> str:
        """``cluster_id``, but ``map_x``; under another prefix ``topic_id`` and ``topic_map_x``."""
        bare = which.bare and self.prefix == PREFIX
        return which.suffix if bare else f"{self.prefix}{which.suffix}"

    @property
    def cluster_id(self) -> str:
        return f"{self.prefix}id"

    @property
    def run_id(self) -> str:
        return f"{self.prefix}run_id"

    @property
    def assignment(self) -> str:
        return f"{self.prefix}assignment"

    @property
    def wanted(self) -> tuple[LabelField, ...]:
        """Fields that there must be room for."""
        return tuple(f for f in LABEL_FIELDS if not f.optional or f.suffix in self.extras)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the wanted fields."""
        return tuple(self.name(f) for f in self.wanted)

    @property
    def every(self) -> tuple[str, ...]:
        """Names that are ours whether this run wants them or not, and those that it wants."""
        return tuple(self.name(f) for f in LABEL_FIELDS if not f.bare or f.suffix in self.extras)

    @property
    def possible(self) -> tuple[str, ...]:
        """Names of all that any run may write."""
        return tuple(self.name(f) for f in LABEL_FIELDS)


@dataclass(frozen=True, slots=True)
class WriteWay:
    """One rung of the write-back ladder: its name, why, and where labels will be found.

    ``stale``: a line about labels of earlier runs that this one does not reach, or cannot write
    over; empty if there are none.
    """

    name: WayName
    reason: str
    target: str
    stale: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class LabelBatch:
    """Labels by key: ``keys (m,)``, ``cluster_id int64``, the scores ``float32``, the rest texts.

    ``run_ids``, ``assignment``, ``path``, ``duplicate_of``: ``object`` arrays of ``str``.
    ``assignment`` is a value of ``Assignment``, or empty where an earlier version wrote the label.
    ``path``: see ``Clustering.paths``; ``duplicate_of``: the key, as text, of the row to keep
    instead of this one, empty for rows to keep. ``map_x``, ``map_y``: ``float32``, 0 for a row
    without a place, and no row with one has a coordinate of 0. Each is None if no row has one, and
    then none is written. A text that is None is one that the row does not have, which is more than
    that it is empty.
    """

    keys: Keys
    cluster_id: Int64Array
    probability: Float32Array
    outlier_score: Float32Array
    run_ids: np.ndarray
    assignment: np.ndarray
    path: np.ndarray | None = None
    duplicate_of: np.ndarray | None = None
    map_x: Float32Array | None = None
    map_y: Float32Array | None = None

    def __len__(self) -> int:
        return int(self.keys.shape[0])

    @classmethod
    def blank(cls, keys: Keys) -> LabelBatch:
        """Rows that have no label."""
        n = len(keys)
        return cls(
            keys=keys,
            cluster_id=np.full(n, -1, np.int64),
            probability=np.zeros(n, np.float32),
            outlier_score=np.zeros(n, np.float32),
            run_ids=np.full(n, "", object),
            assignment=np.full(n, "", object),
        )

    def columns(self) -> Iterator[tuple[LabelField, np.ndarray]]:
        """The fields that it holds, with their values."""
        for which in LABEL_FIELDS:
            values = getattr(self, which.column)
            if values is not None:
                yield which, values

    def lacking(self) -> tuple[LabelField, ...]:
        """The optional fields that it does not hold."""
        return tuple(f for f in LABEL_FIELDS if getattr(self, f.column) is None)

    def without(self, which: Iterable[LabelField]) -> LabelBatch:
        """The same labels but for some optional fields."""
        none: dict[str, Any] = {f.column: None for f in which}
        return replace(self, **none)

    def blanked(self, which: Iterable[LabelField], text: str | None = "") -> LabelBatch:
        """The same labels, and optional fields that hold the empty text (or none), or 0."""
        return replace(self, **{f.column: _blank(f, len(self), text) for f in which})

    def holding(self, which: Iterable[LabelField], other: LabelBatch) -> LabelBatch:
        """The same labels, and some fields as ``other`` of the same rows has them."""
        return replace(self, **{f.column: getattr(other, f.column) for f in which})

    def texts_only(self) -> LabelBatch:
        """The same labels with all fields; the empty text, or 0, for what is not there."""
        whole = self.blanked(self.lacking())
        texts = {f.column: text_of(v) for f, v in whole.columns() if f.type == "VARCHAR"}
        return replace(whole, **texts)

    def take(self, rows: np.ndarray) -> LabelBatch:
        """The same labels for a selection of rows (mask or positions)."""
        taken = {which.column: values[rows] for which, values in self.columns()}
        return LabelBatch(keys=self.keys[rows], **taken)


def _blank(which: LabelField, n: int, text: str | None) -> np.ndarray:
    return np.full(n, text, object) if which.type == "VARCHAR" else np.zeros(n, np.float32)


def text_of(values: np.ndarray) -> np.ndarray:
    """``object`` array of ``str | None`` with the empty text for None; the same if it has none."""
    absent = np.array([value is None for value in values], np.bool_)
    return np.where(absent, "", values) if absent.any() else values


class RowStatus(IntEnum):
    """What became of one row in a write."""

    WRITTEN = 1
    VANISHED = 2
    """Deleted meanwhile; it stays deleted."""
    CHANGED = 3
    """Updated meanwhile in a way that forbids writing it now; its update stays."""
    FAILED = 4


@dataclass(frozen=True, slots=True, eq=False)
class WriteOutcome:
    """``status (m,) int8`` of ``RowStatus``; ``message`` is the first failure, if any.

    ``paused``: seconds that the writer has waited for the sake of readers.
    """

    status: Int8Array
    message: str = ""
    paused: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class LabelPlan:
    """New labels of all rows, those that were stored before, and which rows differ.

    ``old``: aligned with ``new``, valid where ``had_label (n,) bool`` and blank elsewhere; without
    an optional field that no row had. ``changed (n,) bool``: rows that are to be written.
    """

    new: LabelBatch
    partition_of: Int32Array
    partitions: tuple[str, ...]
    had_label: BoolArray
    old: LabelBatch
    changed: BoolArray

    @property
    def old_cluster_id(self) -> Int64Array:
        """``(n,) int64``, valid where ``had_label``."""
        return self.old.cluster_id


@dataclass(frozen=True, slots=True)
class WriteReport:
    """Counts over the whole run; ``unlabelled`` rows were added while we worked.

    ``seconds``: spent on sending; ``paused``: of these on waiting for the sake of readers, summed
    over the processes that write.
    """

    written: int = 0
    unchanged: int = 0
    vanished: int = 0
    skipped: int = 0
    failed: int = 0
    unlabelled: int = 0
    mismatched: int = 0
    messages: tuple[str, ...] = field(default=())
    seconds: float = 0.0
    paused: float = 0.0

    @property
    def clean(self) -> bool:
        return self.failed == 0 and self.mismatched == 0 and self.skipped == 0
