"""A map as the data that ``assets/map*.js`` draws.

In: a ``MapView``, a limit of bytes. Out: ``MapData``: plain values for JSON, and what was left out.
Promise: every row that has a place is drawn; where the limit is too small for all texts and
pictures, rows drawn by lot keep theirs, those that show a cluster first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vdbcluster.model.arrays import Float32Array, Int64Array
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.maps import MapCluster, MapView
from vdbcluster.pages.map_colors import (
    DARK,
    GREY,
    LIGHT,
    assign_colors,
    least_apart,
    neighbors,
)
from vdbcluster.pages.map_encode import encoded, packed, quantised, thinned
from vdbcluster.pages.map_places import stand
from vdbcluster.pages.resources import safe_json
from vdbcluster.pages.wording import plain, shortened

HOVER_CHARS = 240
NAME_CHARS = 120
DESCRIPTION_CHARS = 600
KEYWORDS = 12
SPARE = 400
"""Bytes for what is told of rows left out."""


@dataclass(frozen=True, slots=True)
class MapData:
    """``data``: for ``vdbclusterMap``. ``rows``: all; ``drawn``: those with a place.

    ``hovers``: drawn rows that have a text or a picture; ``kept``: those that keep it in the page.
    ``apart``: the smallest distance between the colours of neighbours, by vision, None without any.
    """

    data: dict[str, Any]
    rows: int
    drawn: int
    clusters: int
    hovers: int
    kept: int
    apart: dict[str, float | None]

    @property
    def told(self) -> list[str]:
        """What the picture does not show, a line each."""
        lines = []
        if self.drawn < self.rows:
            gone = self.rows - self.drawn
            lines.append(f"{gone:,} of {self.rows:,} rows have no place on the map")
        if self.kept < self.hovers:
            lines.append(
                f"texts of {self.kept:,} of {self.hovers:,} rows, drawn by lot, to keep the file "
                "small; every point is there"
            )
        return lines


def map_data(view: MapView, limit: int, *, hover_chars: int = HOVER_CHARS) -> MapData:
    """See the module; ``limit``: bytes of all of it, ``hover_chars`` of a text."""
    at = np.flatnonzero(np.isfinite(view.points).all(axis=1))
    points, labels = view.points[at], view.labels[at]
    found = _colored(view.clusters, points, labels)
    axes, ranges = quantised(points)
    texts = _texts(view.texts, at, hover_chars)
    images = None if view.images is None else [view.images[row] for row in at.tolist()]
    shown = _shown(view, at)
    data: dict[str, Any] = {
        "version": 1,
        "title": plain(view.title),
        "facts": {plain(name): plain(told) for name, told in view.facts.items()},
        "n": len(at),
        "axes": axes,
        "ranges": ranges,
        "groups": encoded(_groups(view.clusters, labels).astype("<i4")),
        "probability": encoded(_bytes(view.probability[at])),
        "keys": packed([str(key) for key in view.keys[at].tolist()]),
        "clusters": found.clusters,
        "inner": [_cluster(one) for one in view.inner if one.at],
        "palette": {"light": LIGHT, "dark": DARK, "grey": GREY},
        "shown": {str(cluster): rows for cluster, rows in shown.items()},
    }
    columns = {name: c for name, c in (("texts", texts), ("images", images)) if c is not None}
    left = limit - len(safe_json(data).encode()) - SPARE
    rich = _rich(list(columns.values()), len(at))
    first = [row for rows in shown.values() for row in rows]
    packs, kept = thinned(list(columns.values()), _order(rich, first), left)
    data |= dict(zip(columns, packs, strict=True))
    made = MapData(data, len(view), len(at), len(view.clusters), len(rich), len(kept), found.apart)
    return replace(made, data=data | {"told": made.told, "thinned": len(kept) < len(rich)})


@dataclass(frozen=True, slots=True)
class _Colored:
    clusters: list[dict[str, Any]]
    apart: dict[str, float | None]


def _colored(clusters: Sequence[MapCluster], points: Float32Array, labels: Int64Array) -> _Colored:
    """Clusters as JSON, with their colours and where their names stand."""
    ids = [one.id for one in clusters]
    seen = [one.id for one in clusters if not one.hidden]
    beside = neighbors(points, labels, seen)
    slots = assign_colors(seen, beside)
    slot = dict(zip(seen, slots, strict=True))
    places = stand(points, labels, ids)
    made = [
        _cluster(replace(one, at=one.at or places.get(one.id, ()))) | {"slot": slot.get(one.id, -1)}
        for one in clusters
    ]
    apart = {name: _rounded(value) for name, value in least_apart(slots, beside).items()}
    return _Colored(made, apart)


def _rounded(value: float) -> float | None:
    return round(value, 1) if np.isfinite(value) else None


def _cluster(one: MapCluster) -> dict[str, Any]:
    return {
        "id": one.id,
        "path": one.path,
        "title": shortened(one.title, NAME_CHARS),
        "named": bool(one.name),
        "description": shortened(one.description, DESCRIPTION_CHARS),
        "keywords": [shortened(word, NAME_CHARS) for word in one.keywords[:KEYWORDS]],
        "size": one.size,
        "pinned": one.pinned,
        "hidden": one.hidden,
        "at": [round(float(value), 4) for value in one.at],
    }


def _groups(clusters: Sequence[MapCluster], labels: Int64Array) -> Int64Array:
    """Places in ``clusters``; -1 for noise, and for a cluster that is not among them."""
    ids = np.array([one.id for one in clusters], np.int64)
    if not len(ids):
        return np.full(len(labels), NOISE, np.int64)
    order = np.argsort(ids)
    at = np.minimum(np.searchsorted(ids[order], labels), len(ids) - 1)
    return np.where(ids[order][at] == labels, order[at], NOISE)


def _bytes(shares: Float32Array) -> Any:
    return np.round(np.nan_to_num(np.clip(shares, 0.0, 1.0)) * 255).astype(np.uint8)


def _texts(
    texts: Sequence[str | None] | None, at: Int64Array, most: int
) -> list[str | None] | None:
    if texts is None:
        return None
    chosen = (texts[row] for row in at.tolist())
    return [shortened(text, most) if text else None for text in chosen]


def _shown(view: MapView, at: Int64Array) -> dict[int, list[int]]:
    """Rows that show a cluster, as places among those drawn."""
    drawn = np.full(len(view), -1, np.int64)
    drawn[at] = np.arange(len(at))
    return {
        cluster: [int(drawn[row]) for row in rows if drawn[row] >= 0]
        for cluster, rows in view.shown.items()
    }


def _rich(columns: Sequence[Sequence[str | None]], n: int) -> Int64Array:
    """Rows that have something to show."""
    return np.array([row for row in range(n) if any(column[row] for column in columns)], np.int64)


def _order(rich: Int64Array, first: Sequence[int]) -> Int64Array:
    """Those that show a cluster, then the others by lot."""
    there = set(rich.tolist())
    leading = list(dict.fromkeys(row for row in first if row in there))
    rest = np.setdiff1d(rich, leading)
    lot = np.random.default_rng(0).permutation(rest)
    return np.concatenate([np.array(leading, np.int64), lot.astype(np.int64)])
