"""The map of a run: where its rows lie, and what a picture of it shows.

    MapLayout   where rows lie, in two dimensions and by choice in three
    MapCluster  what a picture tells of a cluster
    MapView     all that is drawn: rows, clusters, texts

Promise: frozen; a row without a place has NaN coordinates and is counted, never drawn somewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vdbcluster.model.arrays import Float32Array, Int64Array, Keys


@dataclass(frozen=True, slots=True, eq=False)
class MapLayout:
    """``flat (n, 2) float32``; ``space (n, 3) float32``, None where only a flat map was asked for.

    NaN in all coordinates of a row that has no neighbours.
    """

    flat: Float32Array
    space: Float32Array | None = None

    def __len__(self) -> int:
        return len(self.flat)


@dataclass(frozen=True, slots=True)
class MapCluster:
    """``name``: by people or a model, empty where nobody gave one; ``path``: of a cluster within
    another, such as ``3/1``, else empty. ``at``: where its name stands, in the dimensions of the
    points; empty to have it found among its rows.
    """

    id: int
    size: int
    name: str = ""
    description: str = ""
    keywords: tuple[str, ...] = ()
    pinned: bool = False
    hidden: bool = False
    path: str = ""
    at: tuple[float, ...] = ()

    @property
    def called(self) -> str:
        """What tells it from every other: its path, else its id."""
        return self.path or str(self.id)

    @property
    def title(self) -> str:
        """What it is called on a map."""
        return self.name or ", ".join(self.keywords[:3]) or f"cluster {self.called}"


@dataclass(frozen=True, slots=True, eq=False)
class MapView:
    """All that is drawn.

    ``keys (n,)``, ``points (n, 2 or 3) float32``, ``labels (n,) int64`` with -1 for noise,
    ``probability (n,) float32``; ``texts``: n of them, None where a row has none, or None where
    there are none at all; ``images``: n data URIs or None, in the same way. ``clusters``: the whole
    ones, largest first; ``inner``: those within them that have a place. ``shown``: places of rows
    that show a cluster, by its id, the best first. ``facts``: lines about the map, by name, such as
    rows and date.
    """

    title: str
    keys: Keys
    points: Float32Array
    labels: Int64Array
    probability: Float32Array
    clusters: tuple[MapCluster, ...]
    texts: tuple[str | None, ...] | None = None
    images: tuple[str | None, ...] | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    inner: tuple[MapCluster, ...] = ()
    shown: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.keys)
