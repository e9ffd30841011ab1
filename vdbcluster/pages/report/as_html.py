"""A report as one page that holds everything.

In: a ``Report``. Out: HTML. Promise: pure; opens from disk and asks for nothing; texts and names
are data, never markup or code: what is filled in is escaped, and the page's own policy lets no
script run but ours. Prints: on paper the map stands still and all that is folded is open.

    as_html(report)
    as_html(report, still=True)      # the map as a picture only
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vdbcluster.model.cards import Card, Odd, Shown
from vdbcluster.model.catalogue import RowKey
from vdbcluster.model.report import Report, ReportCluster
from vdbcluster.pages.map import Fragment, map_fragment
from vdbcluster.pages.map_colors import DARK, GREY, LIGHT, assign_colors, neighbors
from vdbcluster.pages.report import charts, figures
from vdbcluster.pages.report.still import still_map
from vdbcluster.pages.resources import plotly_js, policy
from vdbcluster.pages.wording import plain

MAP_ID = "report-map"
MAP_MB = 20.0
"""Of the data of the map; texts are thinned beyond, points never."""
COURSES = 24
"""Clusters whose course over time is drawn."""
QUOTE = 280
"""Characters of a text that are shown."""


def as_html(report: Report, *, still: bool = False) -> str:
    """The page; see the module."""
    slots = _slots(report)
    kinds = {cluster: f"k{slot}" for cluster, slot in slots.items()}
    fragment = (
        None if still or report.view is None else map_fragment(report.view, MAP_ID, max_mb=MAP_MB)
    )
    scripts = [_file("report.js")]
    if fragment is not None:
        scripts += [plotly_js(), fragment.script]
    made = (
        _templates()
        .get_template("report.html.j2")
        .render(
            r=report,
            policy=Markup(policy(scripts)),
            style=Markup(_file("report.css") + _colors() + (fragment.style if fragment else "")),
            scripts=[Markup(script) for script in scripts],
            map=_map(fragment),
            still=still_map(report.view, slots) if report.view is not None else None,
            kinds=kinds,
            charts=charts,
            f=figures,
            glossary=figures.GLOSSARY,
            shown=report.clusters[: report.n_cards],
            courses=_courses(report),
            quotes=quotes,
            sibling=_sibling(report),
            QUOTE=QUOTE,
        )
    )
    return str(made).encode("utf-8", "replace").decode()


def _map(fragment: Fragment | None) -> dict[str, object] | None:
    if fragment is None:
        return None
    return {"html": Markup(fragment.html), "told": fragment.made.told}


def _slots(report: Report) -> dict[int, int]:
    """Places in the palette, as the map has them; without a map those of the ids."""
    ids = [one.id for one in report.clusters]
    view = report.view
    if view is None:
        beside = np.zeros((len(ids), len(ids)), np.bool_)
    else:
        ids = [one.id for one in view.clusters] or ids
        beside = neighbors(view.points, view.labels, ids)
    return dict(zip(ids, assign_colors(ids, beside), strict=True))


def _colors() -> str:
    """Classes ``k0``, ``k1`` ... ``kn`` (noise) that set ``--k``, light and dark."""

    def rules(colors: tuple[str, ...], grey: str) -> str:
        named = [*((f"k{i}", color) for i, color in enumerate(colors)), ("kn", grey)]
        return "".join(f".{name}{{--k:{color}}}" for name, color in named)

    dark = rules(DARK, GREY[1])
    return f"{rules(LIGHT, GREY[0])}\n@media screen and (prefers-color-scheme: dark){{{dark}}}\n"


def _courses(report: Report) -> list[ReportCluster]:
    """The clusters whose course is drawn: the largest of those that have dated rows."""
    if report.timeline is None:
        return []
    counts = report.timeline.clusters
    dated = [one for one in report.clusters if any(counts.get(one.id, ()))]
    return dated[:COURSES]


def _sibling(report: Report) -> Mapping[int, str]:
    """What siblings are called."""
    return {one.id: one.title for one in report.clusters}


def quotes(card: Card) -> list[tuple[str, list[Shown]]]:
    """Rows that show a cluster, each once, by what they are."""
    found = card.representatives
    if found is None:
        return []
    seen: set[RowKey] = set()
    told = []
    for name, every, most in (
        ("In the middle", (found.medoid, *found.central), 3),
        ("How different they can be", found.diverse, 3),
        ("Where it is densest", found.dense, 2),
        ("At its border", found.border, 2),
    ):
        fresh = [row for row in every if row.key not in seen]
        kept = list({row.key: row for row in fresh}.values())[:most]
        seen |= {row.key for row in kept}
        if kept:
            told.append((name, kept))
    return told


@cache
def _file(name: str) -> str:
    return (files("vdbcluster.pages") / "templates" / name).read_text(encoding="utf-8")


@cache
def _templates() -> Environment:
    """jinja2 over ``templates``; what it fills in is escaped, texts lose what steers."""
    made = Environment(
        loader=PackageLoader("vdbcluster.pages", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "share": figures.share,
        "count": figures.count,
        "rows": figures.rows,
        "score": figures.score,
        "short": figures.short,
        "plain": plain,
        "shown": shown,
    }
    return made


def shown(row: Shown | Odd, most: int = QUOTE) -> str:
    """The text of a row, or its key where it has none."""
    return figures.short(row.text, most) or f"row {plain(str(row.key))}"
