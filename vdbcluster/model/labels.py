"""Labels on their way into the collection: what is stored, what is planned, what was written."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

import numpy as np

from vdbcluster.model.arrays import BoolArray, Float32Array, Int8Array, Int32Array, Int64Array, Keys

WayName = Literal[
    "add-field",
    "partial-upsert",
    "lite-merge",
    "guarded-upsert",
    "side-collection",
    "memory",
]


@dataclass(frozen=True, slots=True)
class LabelFields:
    """Names of the fields that we own; nothing else is ever written."""

    prefix: str = "cluster_"

    @property
    def cluster_id(self) -> str:
        return f"{self.prefix}id"

    @property
    def probability(self) -> str:
        return f"{self.prefix}probability"

    @property
    def outlier_score(self) -> str:
        return f"{self.prefix}outlier_score"

    @property
    def run_id(self) -> str:
        return f"{self.prefix}run_id"

    @property
    def names(self) -> tuple[str, str, str, str]:
        return (self.cluster_id, self.probability, self.outlier_score, self.run_id)


@dataclass(frozen=True, slots=True)
class WriteWay:
    """One rung of the write-back ladder: its name, why, and where labels will be found.

    ``stale``: a line about labels of earlier runs in another place, empty if there are none.
    """

    name: WayName
    reason: str
    target: str
    stale: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class LabelBatch:
    """Labels by key: ``keys (m,)``, ``cluster_id int64``, the scores ``float32``, one run id each.

    ``run_ids`` is an ``object`` array of ``str``.
    """

    keys: Keys
    cluster_id: Int64Array
    probability: Float32Array
    outlier_score: Float32Array
    run_ids: np.ndarray

    def __len__(self) -> int:
        return int(self.keys.shape[0])

    def take(self, rows: np.ndarray) -> LabelBatch:
        """The same labels for a selection of rows (mask or positions)."""
        return LabelBatch(
            self.keys[rows],
            self.cluster_id[rows],
            self.probability[rows],
            self.outlier_score[rows],
            self.run_ids[rows],
        )


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
    """``status (m,) int8`` of ``RowStatus``; ``message`` is the first failure, if any."""

    status: Int8Array
    message: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class LabelPlan:
    """New labels of all rows, which of them differ from what is stored, and the old cluster ids.

    ``old_cluster_id (n,) int64`` is valid where ``had_label``; ``changed (n,) bool``.
    """

    new: LabelBatch
    partition_of: Int32Array
    partitions: tuple[str, ...]
    had_label: BoolArray
    old_cluster_id: Int64Array
    changed: BoolArray


@dataclass(frozen=True, slots=True)
class WriteReport:
    """Counts over the whole run; ``unlabelled`` rows were added while we worked."""

    written: int = 0
    unchanged: int = 0
    vanished: int = 0
    skipped: int = 0
    failed: int = 0
    unlabelled: int = 0
    mismatched: int = 0
    messages: tuple[str, ...] = field(default=())

    @property
    def clean(self) -> bool:
        return self.failed == 0 and self.mismatched == 0 and self.skipped == 0
