"""The map that a run writes: rows that hardly moved keep the places they have in the collection.

In: rows to be laid out, the labels that are stored. Out: ``Steady``: places, and what to tell of
them. Promise: no stored place is further than ``TOLERANCE`` from where this very layout puts its
row, so that nothing adds up from run to run; where neither rows nor neighbours have changed since
the last map, every row stays. Nothing is read or written but records.

A map begins from the places that are stored, else from the last map that a record has
(``pipeline.layout``), and is turned back onto them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from vdbcluster.layout import RADIUS, placed, radius
from vdbcluster.layout.lay import with_neighbors
from vdbcluster.model.arrays import Float32Array, Keys
from vdbcluster.model.labels import LabelBatch
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.pipeline.aligned import placed as known_rows
from vdbcluster.pipeline.layout import Laying, last_map, same_rows
from vdbcluster.ports import RunStore

TOLERANCE = 0.03
"""Of the radius of the map: about a hundredth of its width, which nobody sees."""
WIDEST = 1000 * RADIUS
"""No map of ours reaches so far: such a value was somebody else's, and is adopted."""


@dataclass(frozen=True, slots=True, eq=False)
class Steady:
    """``flat (n, 2)``, NaN for rows without a place; ``facts`` for the manifest.

    ``rows`` that have a place, of them ``known`` had one before and ``moved`` got another;
    ``begun``: what the map began from, and ``neighbors``: a digest of those.
    """

    flat: Float32Array
    facts: dict[str, Any]


def map_to_write(
    runs: RunStore, begun: RunManifest, laying: Laying, stored: Iterable[LabelBatch]
) -> Steady:
    """See the module. ``begun``: the manifest of the run that is under way."""
    digest = graph_digest(laying.graph, laying.keys)
    last = None if laying.settings.map.afresh else last_map(runs, begun)
    before, source = stored_places(laying.keys, stored), "stored"
    if laying.settings.map.afresh or not placed(before).any():
        recorded = None if last is None else last.of(laying.keys, 2)
        source = "" if last is None or recorded is None else last.run_id
        before = np.full_like(before, np.nan) if recorded is None else recorded
    if _unchanged(runs, begun, digest, laying, before):
        found = before
    else:
        known = before if placed(before).any() else None
        found = steady(laying.points_from(2, known), before)
    both = placed(before) & placed(found)
    moved = (before != found).any(axis=1) & both
    facts = {
        "rows": int(np.count_nonzero(placed(found))),
        "known": int(np.count_nonzero(both)),
        "moved": int(np.count_nonzero(moved)),
        "begun": source,
        "neighbors": digest,
    }
    return Steady(found, facts)


def steady(
    points: Float32Array, before: Float32Array, tolerance: float = TOLERANCE
) -> Float32Array:
    """``points (n, 2)``, but as ``before`` where a row is no further from there than allowed."""
    both = placed(points) & placed(before)
    apart = np.where(both, np.linalg.norm(points - before, axis=1), np.inf)
    still = apart <= tolerance * radius(before)
    return np.where(still[:, None], before, points).astype(np.float32)


def stored_places(keys: Keys, stored: Iterable[LabelBatch]) -> Float32Array:
    """The places ``(n, 2)`` that labels ``stored`` tell, NaN for rows without one."""
    found = np.full((len(keys), 2), np.nan, np.float32)
    for at, batch in known_rows(keys, stored):
        if batch.map_x is not None and batch.map_y is not None:
            both = np.stack((batch.map_x, batch.map_y), axis=1)
            ours = (both != 0) & (np.abs(both) < WIDEST)
            found[at] = np.where(ours.all(axis=1)[:, None], both, np.nan)
    return found


def graph_digest(graph: NeighborGraph, keys: Keys) -> str:
    """The same for the same rows with the same neighbours in the same order."""
    told = blake2b(graph.indices.tobytes(), digest_size=16)
    told.update(keys.tobytes() if keys.dtype != object else "\0".join(keys).encode())
    return told.hexdigest()


def _unchanged(
    runs: RunStore, begun: RunManifest, digest: str, laying: Laying, before: Float32Array
) -> bool:
    """Whether the last map that was written is of these very neighbours."""
    if not (placed(before) | ~with_neighbors(laying.graph)).all():
        return False
    told = [
        one.facts["map"].get("neighbors")
        for one in runs.every()
        if "map" in one.facts and one.state == "written" and same_rows(one, begun)
    ]
    return bool(told) and told[-1] == digest
