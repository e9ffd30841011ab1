"""The charts of a report, as inline SVG.

In: parts of a ``Report``; ``kinds``: the class that gives each cluster its colour. Out: ``Markup``.
Promise: pure; readable without colours, since everything is labelled or in a table beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.report import Bars, Nearness, Report, Timeline
from vdbcluster.pages.report.figures import rows, share
from vdbcluster.pages.report.raster import heat
from vdbcluster.pages.report.svg import (
    clipped,
    image,
    line,
    link,
    number,
    rect,
    text,
    units,
    with_size,
)
from vdbcluster.pages.report.treemap import tiles
from vdbcluster.pages.wording import plain

Kinds = Mapping[int, str]
LETTER = 6.3
"""Width of a Latin letter at 12 px; of a bold one ``BOLD``."""
BOLD = 7.2
TIGHT = 12
"""Letters for which there must be room, or a tile has the number of its cluster."""
FEW = 10
"""Rows of a period of which a share says little."""


def treemap(report: Report, kinds: Kinds, width: float = 1000, height: float = 460) -> Markup:
    """Clusters as tiles, those within them inside, noise in grey."""
    parts = []
    for tile in tiles(report.boxes, width, height):
        kind, box = kinds.get(tile.box.id, "kn"), tile.box
        title = f"{plain(box.title)}: {rows(box.size)}"
        inner = rect(
            tile.x + 1, tile.y + 1, tile.width - 2, tile.height - 2, f"tile {kind}", title=title
        )
        room = (tile.width - 10) / (LETTER if tile.depth else BOLD)
        called = plain(box.title)
        if room < TIGHT < units(called) and box.id != NOISE and not tile.depth:
            called = str(box.id)
        if tile.height > 16 and (name := clipped(called, room)):
            inner += text(tile.x + 6, tile.y + 14, name, "small" if tile.depth else "strong")
            leaf = not box.inner or len(box.inner) < 2
            if tile.height > 34 and leaf and units(f"{box.size:,}") <= room:
                inner += text(tile.x + 6, tile.y + 29, f"{box.size:,}", "small")
        parts.append(link(f"#cluster-{box.id}", inner) if box.id != NOISE else inner)
    label = f"Sizes of {report.n_clusters} clusters as tiles; the table tells the same"
    return with_size(width, height, label, parts, kind="chart wide")


def near_map(report: Report, near: Nearness, kinds: Kinds) -> Markup:
    """Who is near whom: joins on the left, cosines in the middle, names on the right."""
    k = len(near.ids)
    tall = min(26.0, max(13.0, 420.0 / k))
    top, tree, wide, names = 8.0, 170.0, 480.0, 340.0
    parts = [_joins(near, top, tree, tall)]
    parts.append(image(tree + 8, top, wide, tall * k, heat(near.cosines, strongest(near))))
    parts.append(rect(tree + 8, top, wide, tall * k, "frame"))
    for i, cluster in enumerate(near.ids):
        y, x = top + tall * i, tree + wide + 16
        told = clipped(plain(report.title_of(cluster)), (names - 44) / LETTER)
        parts.append(rect(x, y + tall / 2 - 4, 8, 8, kinds.get(cluster, "kn"), round_=2))
        name = text(x + 14, y + tall / 2 + 4, f"{cluster}  {told}", "small")
        parts.append(link(f"#cluster-{cluster}", name))
    label = f"Cosines of the centroids of {k} clusters; the closest pairs are listed below"
    return with_size(tree + wide + names, top + tall * k + 8, label, parts, kind="chart wide")


def strongest(near: Nearness) -> float:
    """The cosine that has the full colour: that of the closest pair, or 0.3."""
    apart = near.cosines - np.eye(len(near.ids), dtype=np.float32)
    return max(0.3, float(np.abs(apart).max()))


def _joins(near: Nearness, top: float, width: float, tall: float) -> Markup:
    """The tree, its root on the left; where two groups join is their distance."""
    k, highest = len(near.ids), max((h for _, _, h in near.joins), default=1.0) or 1.0
    at = {i: (0.0, top + tall * (i + 0.5)) for i in range(k)}
    found = Markup("")
    for number_, (left, right, height) in enumerate(near.joins):
        (hl, yl), (hr, yr) = at[left], at[right]
        x, xl, xr = (width - 4 - (width - 8) * h / highest for h in (height, hl, hr))
        found += line([(xl, yl), (x, yl), (x, yr), (xr, yr)], "join")
        at[k + number_] = (height, (yl + yr) / 2)
    return found


def bars(told: Bars, kind: str) -> Markup:
    """A field of a cluster beside all other rows: a filled bar and an outline."""
    return _columns(told, kind) if told.kind in ("number", "date") else _lying(told, kind)


def _columns(told: Bars, kind: str, width: float = 300, height: float = 64) -> Markup:
    n, base = len(told.labels), height - 14
    top = max((*told.inside, *told.others), default=0) or 1.0
    step = width / max(n, 1)
    parts = []
    for i, label in enumerate(told.labels):
        inside, others = told.inside[i], told.others[i]
        title = f"{plain(label)}: {share(inside)} (others {share(others)})"
        high = base * inside / top
        parts.append(rect(i * step + 1, base - high, step - 2, high, kind, title=title))
        high = base * others / top
        parts.append(rect(i * step + 1, base - high, step - 2, high, "other"))
    parts.append(line([(0, base), (width, base)], "axis"))
    first, last = _ends([plain(label) for label in told.labels])
    parts.append(text(0, height - 2, clipped(first, 20), "tiny"))
    parts.append(text(width, height - 2, clipped(last, 24), "tiny", "end"))
    return with_size(width, height, _label(told), parts)


def _ends(labels: Sequence[str]) -> tuple[str, str]:
    """What is written below the first and the last bar."""
    missing = ", missing" if "missing" in labels[-1:] else ""
    ranges = labels[: len(labels) - bool(missing)] or [""]
    first = ranges[0] if ranges[0].startswith("up to ") else ranges[0].split(" to ")[0]
    return first, ranges[-1].split(" to ")[-1] + missing


def _lying(told: Bars, kind: str, width: float = 300) -> Markup:
    names, tall = 112.0, 17.0
    room = width - names - 46
    top = max((*told.inside, *told.others), default=0) or 1.0
    parts = []
    for i, label in enumerate(told.labels):
        y, inside, others = i * tall, told.inside[i], told.others[i]
        title = f"{plain(label)}: {share(inside)} (others {share(others)})"
        parts.append(text(names - 6, y + 12, clipped(plain(label), 17), "tiny", "end"))
        parts.append(rect(names, y + 3, room * inside / top, 11, kind, title=title))
        parts.append(rect(names, y + 3, room * others / top, 11, "other"))
        parts.append(text(width, y + 12, share(inside), "tiny", "end"))
    return with_size(width, tall * len(told.labels), _label(told), parts)


def _label(told: Bars) -> str:
    return plain(told.told) or f"{plain(told.name)}: the cluster beside all other rows"


def totals(when: Timeline, width: float = 1000, height: float = 130) -> Markup:
    """Rows of all clusters and noise, by period."""
    base, top = height - 18, max(when.totals) or 1
    step = width / len(when.periods)
    parts = []
    for i, (period, n) in enumerate(zip(when.periods, when.totals, strict=True)):
        high = (base - 12) * n / top
        title = f"{period}: {rows(n)}"
        parts.append(rect(i * step + 1, base - high, step - 2, high, "total", title=title))
    parts.append(line([(0, base), (width, base)], "axis"))
    parts.append(text(0, 10, f"{top:,}", "tiny"))
    for i in _ticks(len(when.periods)):
        anchor = "start" if i == 0 else "end" if i == len(when.periods) - 1 else "middle"
        x = 0.0 if i == 0 else width if anchor == "end" else (i + 0.5) * step
        parts.append(text(x, height - 4, when.periods[i], "tiny", anchor))
    return with_size(width, height, f"Rows by {when.unit}", parts, kind="chart wide")


def _ticks(n: int) -> Sequence[int]:
    return range(n) if n <= 8 else [round(i * (n - 1) / 6) for i in range(7)]


def course(
    when: Timeline, cluster: int, kind: str, width: float = 230, height: float = 56
) -> Markup:
    """The share of one cluster among all rows of each period; faint where these are few."""
    counts, base = when.clusters[cluster], height - 2
    shares = [c / t if t else 0.0 for c, t in zip(counts, when.totals, strict=True)]
    top = peak(when, cluster) or 1.0
    step = width / len(shares)
    parts = []
    for i, value in enumerate(shares):
        high = (base - 4) * min(1.0, value / top)
        faint = " few" if when.totals[i] < FEW else ""
        title = f"{when.periods[i]}: {share(value)}, {rows(counts[i])}"
        bar = rect(i * step + 0.5, base - high, step - 1, high, kind + faint, title=title)
        parts.append(bar)
    parts.append(line([(0, base), (width, base)], "axis"))
    return with_size(width, height, f"Share by {when.unit}, up to {share(top)}", parts)


def peak(when: Timeline, cluster: int) -> float:
    """The largest share of the rows of a period, of those that have enough if any has."""
    pairs = list(zip(when.clusters[cluster], when.totals, strict=True))
    enough = [c / t for c, t in pairs if t >= FEW]
    return max(enough or [c / t for c, t in pairs if t], default=0.0)


def meter(value: float, kind: str, width: float = 120) -> Markup:
    """A share of 1 as a bar in a table; the figure stands beside it."""
    filled = number(100 * min(1.0, max(0.0, value)))
    parts = Markup('<rect width="{}%" height="10" rx="2" class="{}"/>').format(filled, kind)
    return Markup('<svg class="meter" width="{}" height="10" aria-hidden="true">{}</svg>').format(
        number(width), parts
    )
