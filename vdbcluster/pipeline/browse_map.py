"""The map of the newest run that has one, for a page that shows it beside the rows.

In: the records of runs, the identity of the collection. Out: ``ServedMap``.
Promise: keys, places and labels are those of one run; what people merged since has the id of what
it was merged into. Above ``MOST`` rows a sample is drawn, the same every time, and counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from vdbcluster.errors import VdbclusterError
from vdbcluster.model.arrays import Float32Array, Int64Array, Keys
from vdbcluster.model.catalogue import Catalogue
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.manifest import RunManifest
from vdbcluster.pages.map_colors import DARK, LIGHT, assign_colors, neighbors
from vdbcluster.pipeline.cards import label_prefix
from vdbcluster.pipeline.map_record import MAP, recorded_layout
from vdbcluster.pipeline.part import WHOLE, Part, shows
from vdbcluster.ports import RunStore

MOST = 200_000
LIFE = 10.0
"""Seconds for which no newer map is looked for."""


@dataclass(frozen=True, slots=True, eq=False)
class ServedMap:
    """``keys (n,)``, ``points (n, 2) float32``, ``labels (n,) int64``; of ``rows`` in all.

    ``slots``: places in the palette, by cluster; see ``pages.map_colors``.
    """

    run_id: str
    keys: Keys
    points: Float32Array
    labels: Int64Array
    rows: int
    slots: Mapping[int, int] = field(default_factory=dict)


class MapShelf:
    """Threads may share it."""

    def __init__(
        self,
        runs: RunStore,
        prefix: str,
        clock: Callable[[], float] = time.monotonic,
        part: Part = WHOLE,
    ) -> None:
        """``prefix``: of the fields that hold labels. ``part``: the rows that are served."""
        self._runs, self._prefix, self._clock = runs, prefix, clock
        self._part = part
        self._lock = threading.Lock()
        self._asked: tuple[float, str, RunManifest | None] | None = None
        self._held: ServedMap | None = None

    def newest(self, identity: str) -> RunManifest | None:
        """The newest written run of this collection that has a map; None if none has."""
        with self._lock:
            held, now = self._asked, self._clock()
            if held is None or held[1] != identity or now - held[0] > LIFE:
                held = self._asked = (now, identity, self._found(identity))
            return held[2]

    def _found(self, identity: str) -> RunManifest | None:
        having = set(self._runs.having(MAP))
        ours = [
            one
            for one in self._runs.every()
            if one.run_id in having
            and one.identity == identity
            and one.state == "written"
            and label_prefix(one) == self._prefix
            and shows(self._part, one)
        ]
        return ours[-1] if ours else None

    def read(self, identity: str, catalogue: Catalogue | None) -> ServedMap | None:
        """None where there is none, or a damaged one."""
        held = self._now(identity)
        return None if held is None else _merged(held, catalogue)

    def colors(self, identity: str) -> Callable[[int], tuple[str, str]]:
        """Of a cluster on a light and on a dark page; as on the map, where there is one."""
        held = self._now(identity)
        slots = held.slots if held is not None else {}

        def color(cluster: int) -> tuple[str, str]:
            slot = slots.get(cluster, cluster % len(LIGHT))
            return LIGHT[slot], DARK[slot]

        return color

    def _now(self, identity: str) -> ServedMap | None:
        manifest = self.newest(identity)
        if manifest is None:
            return None
        with self._lock:
            if self._held is None or self._held.run_id != manifest.run_id:
                self._held = self._read(manifest.run_id)
            return self._held

    def _read(self, run_id: str) -> ServedMap | None:
        layout = recorded_layout(self._runs, run_id)
        try:
            plan = self._runs.load_arrays(run_id)
            keys, labels = plan["keys"], plan["cluster_id"]
        except (VdbclusterError, KeyError):
            return None
        if layout is None or len(layout.flat) != len(keys):
            return None
        there = np.flatnonzero(np.isfinite(layout.flat).all(axis=1))
        shown = there
        if len(there) > MOST:
            shown = np.sort(np.random.default_rng(0).choice(there, MOST, replace=False))
        points, own = layout.flat[shown], labels[shown].astype(np.int64)
        ids = [int(i) for i in np.unique(own) if i != NOISE]
        slots = dict(zip(ids, assign_colors(ids, neighbors(points, own, ids)), strict=True))
        return ServedMap(run_id, keys[shown], points, own, len(there), slots)


def _merged(held: ServedMap, catalogue: Catalogue | None) -> ServedMap:
    heirs = catalogue.heirs() if catalogue is not None else {}
    here = set(np.unique(held.labels).tolist()) & set(heirs)
    if not here:
        return held
    labels = held.labels.copy()
    for cluster in here:
        labels[held.labels == cluster] = heirs[cluster]
    return replace(held, labels=labels)
