"""A map as one HTML file that holds everything, or as a part of another page.

In: a ``MapView``. Out: ``MapPage``, the text of a page and what it shows; ``Fragment``, for a page
that has its own head. Promise: opens from disk without a network and asks for nothing; texts and
names are data, never markup or code; the file is at most ``max_mb`` large unless the points alone
are more, which ``MapPage.told`` says then.

    map_page(view).html
    part = map_fragment(view, "map")       # and plotly_js() once, before part.script
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from markupsafe import Markup

from vdbcluster.model.maps import MapView
from vdbcluster.pages.map_colors import DARK, GREY, LIGHT
from vdbcluster.pages.map_data import HOVER_CHARS, MapData, map_data
from vdbcluster.pages.resources import (
    asset,
    json_element,
    plotly_js,
    policy,
    safe_json,
    templates,
)
from vdbcluster.pages.wording import plain

MAX_MB = 25.0
MARKUP = 4_000
"""Bytes of the page itself, at most."""
SCRIPTS = ("decode", "index", "scene", "labels", "hover", "panel", "input", "main")


@dataclass(frozen=True, slots=True)
class MapPage:
    """``size``: bytes of the file; ``told``: what the page does not show, a line each."""

    html: str
    size: int
    made: MapData
    told: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fragment:
    """``html``: goes into the body, ``style`` into a ``<style>``, ``script`` into a ``<script>``
    after plotly.js. ``script`` and ``style`` are the same for every fragment but for ``start``,
    a line that draws this one; put ``map_script()`` in once and ``start`` for each.
    """

    html: str
    script: str
    style: str
    start: str
    made: MapData


@cache
def map_script() -> str:
    """Plain script that defines ``vdbclusterMap(element, data, options)``; wants ``Plotly``."""
    parts = "\n".join(asset(f"map_{name}.js") for name in SCRIPTS)
    palette = safe_json({"light": LIGHT, "dark": DARK, "grey": GREY})
    parts = f"const PALETTE = {palette};\n{parts}"
    return f'(() => {{\n"use strict";\n{parts}\nwindow.vdbclusterMap = vdbclusterMap;\n}})();\n'


@cache
def map_style() -> str:
    """All rules are about ``.vmap`` and what is in it."""
    return asset("map.css")


def map_page(view: MapView, *, max_mb: float = MAX_MB, hover_chars: int = HOVER_CHARS) -> MapPage:
    """The whole page; see the module."""
    own = (plotly_js(), map_script(), map_style())
    limit = int(max_mb * 1e6) - sum(len(part.encode()) for part in own) - MARKUP
    made = map_data(view, limit, hover_chars=hover_chars)
    start = asset("map_page.js")
    scripts = [plotly_js(), map_script(), start]
    html = (
        templates()
        .get_template("map.html")
        .render(
            title=plain(view.title) or "Map",
            policy=Markup(policy(scripts)),
            style=Markup(asset("map_page.css") + map_style()),
            data=json_element("vmap-data", made.data),
            scripts=[Markup(script) for script in scripts],
            told=made.told,
        )
    )
    size = len(html.encode())
    told = list(made.told)
    if size > max_mb * 1e6:
        told.append(f"the points alone take {size / 1e6:.1f} MB, more than {max_mb:g}")
    return MapPage(html, size, made, tuple(told))


def map_fragment(
    view: MapView,
    element_id: str,
    *,
    max_mb: float = 10.0,
    hover_chars: int = HOVER_CHARS,
    options: dict[str, Any] | None = None,
) -> Fragment:
    """The map as a part of another page; ``options``: those of ``vdbclusterMap``.

    ``max_mb``: of the data alone. ``element_id``: of an element that ``html`` brings; letters,
    digits and ``-``.
    """
    made = map_data(view, int(max_mb * 1e6), hover_chars=hover_chars)
    place = Markup('<div class="vmap" id="{}"></div>').format(element_id)
    html = place + json_element(f"{element_id}-data", made.data)
    wanted, name = safe_json(options or {}), safe_json(element_id)
    start = (
        f"vdbclusterMap(document.getElementById({name}), "
        f"JSON.parse(document.getElementById({name} + '-data').textContent), {wanted});\n"
    )
    return Fragment(str(html), map_script() + start, map_style(), start, made)
