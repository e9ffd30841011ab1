"""Where rows lie that came after a run: on the map of that run, by their neighbours.

In: what an assignment found, the record of the run. Out: places of the rows that it labels.
Promise: no row that has a place is moved; nothing is read but records; where the run has no map,
there are no places. Rows that are near each other alone wait for the map of the next run.

    flat = later_places(runs, last.run, found, batch.keys)
"""

from __future__ import annotations

import numpy as np

from vdbcluster.errors import VdbclusterError
from vdbcluster.layout import placed, placed_new
from vdbcluster.model.arrays import Float32Array, Keys
from vdbcluster.model.manifest import RunManifest
from vdbcluster.pipeline.assign import NewLabels
from vdbcluster.pipeline.layout import LastMap, recorded_map
from vdbcluster.pipeline.read import positions
from vdbcluster.ports import RunStore


def later_places(
    runs: RunStore, run: RunManifest, found: NewLabels, keys: Keys
) -> Float32Array | None:
    """``(m, 2) float32`` for ``keys (m,)``, NaN for rows without neighbours that have a place.

    None where the run has no map. ``keys``: of the new rows, and of others that get a label.
    """
    try:
        held = recorded_map(runs, run)
    except VdbclusterError:
        return None
    if held is None:
        return None
    new = _new_places(held, found)
    at = positions(keys, found.keys)
    places = held.of(keys, 2)
    assert places is not None  # every map has a flat one
    fresh = (at >= 0) & ~placed(places)
    places[fresh] = new[at[fresh]]
    return places


def _new_places(held: LastMap, found: NewLabels) -> Float32Array:
    """Of the new rows, ``(m, 2)``."""
    known = held.of(found.kept.keys, 2)
    assert known is not None
    if not found.keys.shape[0]:
        return np.empty((0, 2), np.float32)
    return placed_new(found.around.indices, found.around.distances, known, len(known))
