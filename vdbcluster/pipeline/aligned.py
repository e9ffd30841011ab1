"""Labels as they are stored, brought into the order of the rows.

In: keys ``(n,)``, ascending; batches of labels. Out: arrays ``(n,)``. Promise: labels of rows that
are not among the keys are passed over.

    labels, labelled = stored_ids(rows.keys, sink.stored())
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from vdbcluster.model.arrays import BoolArray, Int64Array, Keys
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.labels import LabelBatch
from vdbcluster.pipeline.read import positions


def placed(keys: Keys, stored: Iterable[LabelBatch]) -> Iterator[tuple[Int64Array, LabelBatch]]:
    """Of each batch the labels of rows that are among ``keys``, and the positions of these."""
    for batch in stored:
        at = positions(batch.keys, keys)
        known = at >= 0
        yield at[known], batch.take(known)


def stored_ids(keys: Keys, stored: Iterable[LabelBatch]) -> tuple[Int64Array, BoolArray]:
    """The cluster id of each row, -1 where it has none, and whether it has a label at all."""
    ids, labelled = np.full(len(keys), NOISE, np.int64), np.zeros(len(keys), np.bool_)
    for at, batch in placed(keys, stored):
        ids[at] = batch.cluster_id
        labelled[at] = True
    return ids, labelled
