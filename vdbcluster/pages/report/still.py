"""The map as a picture that stands still: for print, and where no script runs.

In: a ``MapView``, the place in the palette of each cluster. Out: SVG as ``Markup``: the rows as one
picture, names above it. Promise: pure; names do not overlap; rows without a place are left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup

from vdbcluster.model.maps import MapView
from vdbcluster.pages.map_colors import GREY, LIGHT
from vdbcluster.pages.report.raster import Scatter, scatter
from vdbcluster.pages.report.svg import clipped, image, text, units, with_size
from vdbcluster.pages.wording import plain

WIDTH, HEIGHT, FINE = 1000, 640, 2
"""``FINE``: pixels of the picture for each of the page, since paper has more."""
LETTER, LINE = 7.2, 18
MOST = 40
"""Names."""
LONGEST = 26


def still_map(view: MapView, slots: Mapping[int, int]) -> Markup | None:
    """None where no row has a place. ``slots``: places in ``map_colors.LIGHT``."""
    flat = view.points[:, :2]
    there = np.asarray(np.isfinite(flat).all(axis=1))
    if not there.any():
        return None
    place = np.array([slots.get(int(label), -1) + 1 for label in view.labels[there]], np.int64)
    colors = [color.lstrip("#") for color in (GREY[0], *LIGHT)]
    made = scatter(flat[there], place, colors, WIDTH * FINE, HEIGHT * FINE)
    parts = [image(0, 0, WIDTH, HEIGHT, made.uri), *_names(view, made, there)]
    shown = int(there.sum())
    label = f"Map of {shown:,} rows in {len(view.clusters)} clusters"
    return with_size(WIDTH, HEIGHT, label, parts, kind="chart wide still")


def _names(view: MapView, made: Scatter, there: np.ndarray) -> list[Markup]:
    """Of the largest clusters, where there is room."""
    taken: list[tuple[float, float, float, float]] = []
    labels, found = view.labels[there], []
    for cluster in [one for one in view.clusters if not one.hidden][:MOST]:
        mine = made.places[labels == cluster.id]
        name = clipped(plain(cluster.title), LONGEST)
        if not len(mine) or not name:
            continue
        width = units(name) * LETTER
        x, y = (float(v) / FINE for v in np.median(mine, axis=0))
        x = min(max(x, width / 2 + 4), WIDTH - width / 2 - 4)
        y = min(max(y, LINE), HEIGHT - LINE)
        box = (x - width / 2, y - LINE / 2, x + width / 2, y + LINE / 2)
        if not any(_meet(box, other) for other in taken):
            taken.append(box)
            found.append(text(x, y + 4, name, "halo", "middle"))
    return found


def _meet(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
