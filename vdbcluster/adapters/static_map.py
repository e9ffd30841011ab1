"""A flat map as PNG or SVG, for a paper: drawn by datamapplot (extra ``plots``).

In: a ``MapView``. Out: ``StaticMap``. Promise: no network (datamapplot would ask for web fonts; it
is told not to); colours are those of the page; the names of the largest clusters, the pinned before
all, stand beside the map, and how many are left out is told; where no font has all their characters
the best is taken, and that is told.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vdbcluster.errors import UsageError
from vdbcluster.model.arrays import Int64Array
from vdbcluster.model.maps import MapCluster, MapView
from vdbcluster.pages.map_colors import GREY, LIGHT, assign_colors, neighbors
from vdbcluster.pages.wording import plain, shortened

LABELS = 60
"""datamapplot places up to about 64 well."""
NAME_CHARS = 48
NONE = "\ue000"
"""Of rows without a name; a character that no name has."""
INCHES, DPI = 12.0, 200
FONTS = ("DejaVu Sans", "Noto Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Serif CJK JP")
"""Those that are looked at first; then all that are installed."""


@dataclass(frozen=True, slots=True)
class StaticMap:
    """``body``: of the file; ``told``: what it does not show, a line each."""

    body: bytes
    told: tuple[str, ...]
    facts: Mapping[str, object] = field(default_factory=dict)


def check_plots() -> None:
    """``UsageError`` where datamapplot is not installed."""
    if find_spec("datamapplot") is None:
        raise UsageError(
            "PNG and SVG need datamapplot; pip install 'vdbcluster[plots]', or write HTML"
        )


def draw_static(view: MapView, kind: str) -> StaticMap:
    """``kind``: png or svg; see the module."""
    at = np.flatnonzero(np.isfinite(view.points).all(axis=1))
    points, labels = view.points[at], view.labels[at]
    seen = [one for one in view.clusters if not one.hidden]
    named = _named(seen)
    titles = _titles(named)
    font, lacking = _font([*titles.values(), plain(view.title)])
    body = _drawn(
        kind,
        points,
        _names(labels, titles),
        _colors(points, labels, [one.id for one in seen]),
        font=font,
        title=plain(view.title),
        facts=", ".join(f"{name} {told}" for name, told in view.facts.items()),
    )
    told = []
    if len(at) < len(view):
        gone = len(view) - len(at)
        told.append(f"{gone:,} of {len(view):,} rows have no place on the map")
    if len(named) < len(seen):
        told.append(f"names of {len(named)} of {len(seen)} clusters, the largest")
    if lacking:
        few = "".join(sorted(lacking)[:8])
        told.append(f"no installed font has all characters; {font} lacks {len(lacking)}: {few}")
    facts = {
        "rows": len(view),
        "drawn": len(at),
        "clusters": len(view.clusters),
        "names": len(named),
        "font": font,
    }
    return StaticMap(body, tuple(told), facts)


def _named(clusters: Sequence[MapCluster]) -> list[MapCluster]:
    ranked = sorted(clusters, key=lambda one: (not one.pinned, -one.size, one.id))
    return ranked[:LABELS]


def _titles(clusters: Sequence[MapCluster]) -> dict[int, str]:
    """Each once: datamapplot tells clusters by their names."""
    titles: dict[int, str] = {}
    taken: set[str] = set()
    for one in clusters:
        title = shortened(one.title, NAME_CHARS).replace("$", "\\$")
        titles[one.id] = title if title not in taken else f"{title} ({one.called})"
        taken.add(titles[one.id])
    return titles


def _names(labels: Int64Array, titles: Mapping[int, str]) -> NDArray[Any]:
    names = np.full(len(labels), NONE, object)
    for cluster, title in titles.items():
        names[labels == cluster] = title
    return names


def _colors(points: NDArray[Any], labels: Int64Array, ids: Sequence[int]) -> NDArray[Any]:
    """``(n,)`` colours as on the page."""
    slots = assign_colors(ids, neighbors(points, labels, ids))
    colors = np.full(len(labels), GREY[0], object)
    for cluster, slot in zip(ids, slots, strict=True):
        colors[labels == cluster] = LIGHT[slot]
    return colors


def _font(texts: Sequence[str]) -> tuple[str, set[str]]:
    """The first installed font that has every character, else the one that lacks the fewest.

    Fonts of last resort have a box for every character, and are passed over.
    """
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    wanted = {ord(c) for text in texts for c in text if not c.isspace()}
    every = font_manager.fontManager.ttflist
    entries = {e.name: e.fname for e in every if not e.name.lower().lstrip(".").startswith("last")}
    order = [name for name in FONTS if name in entries]
    best, lacking = "DejaVu Sans", wanted
    for name in [*order, *sorted(entries.keys() - set(order))]:
        try:
            left = wanted - FT2Font(entries[name]).get_charmap().keys()
        except (OSError, RuntimeError):
            continue
        if not left:
            return name, set()
        if len(left) < len(lacking):
            best, lacking = name, left
    return best, {chr(code) for code in lacking}


def _drawn(
    kind: str,
    points: NDArray[Any],
    names: NDArray[Any],
    colors: NDArray[Any],
    *,
    font: str,
    title: str,
    facts: str,
) -> bytes:
    import matplotlib

    matplotlib.use("Agg")
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()):  # it has a bar of progress
        warnings.simplefilter("ignore")  # of missing characters, which are told above
        import datamapplot
        from matplotlib import pyplot

        shades = dict(zip(names.tolist(), colors.tolist(), strict=True))
        shades.pop(NONE, None)
        figure, _ = datamapplot.create_plot(
            points,
            names,
            noise_label=NONE,
            label_color_map=shades,
            marker_color_array=colors,
            noise_color=GREY[0],
            font_family=font,
            use_system_fonts=True,
            title=title.replace("$", "\\$") or None,
            sub_title=facts.replace("$", "\\$") or None,
            figsize=(INCHES, INCHES),
            dpi=DPI,
            point_size=_point_size(len(points)),
            force_matplotlib=True,
            add_glow=False,
            label_wrap_width=18,
            label_font_size=_font_size(len(shades)),
            label_font_stroke_width=4,
            label_font_outline_alpha=0.9,
            verbose=False,
        )
        out = io.BytesIO()
        # Points as a picture within the SVG: a hundred thousand circles open nowhere.
        for axes in figure.axes:
            for points_drawn in axes.collections:
                points_drawn.set_rasterized(True)
        figure.savefig(out, format=kind, dpi=DPI, bbox_inches="tight")
        pyplot.close(figure)
    return out.getvalue()


def _font_size(names: int) -> float:
    return 14.0 if names <= 16 else 11.0 if names <= 32 else 8.5


def _point_size(n: int) -> float:
    return float(np.clip(6.0e4 / max(n, 1), 0.6, 36.0))
