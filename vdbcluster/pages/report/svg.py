"""The pieces that charts are made of.

In: numbers, texts. Out: SVG as ``Markup``. Promise: pure; what is filled in is escaped; colours are
those of the page's style, so that charts follow its dark mode.

    with_size(300, 40, "Rows by month", [rect(0, 0, 10, 20, "k3"), text(0, 38, "May")])
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

WIDE = frozenset("WF")
"""East Asian characters that take the room of two."""


def with_size(
    width: float, height: float, label: str, parts: Iterable[Markup], *, kind: str = "chart"
) -> Markup:
    """A whole chart; ``label`` is read out where it cannot be seen."""
    opening = Markup(
        '<svg class="{}" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">'
    ).format(kind, number(width), number(height), number(width), number(height), label)
    return opening + Markup("").join(parts) + Markup("</svg>")


def number(value: float) -> str:
    """At most two digits after the point."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def rect(
    x: float,
    y: float,
    width: float,
    height: float,
    kind: str,
    *,
    title: str = "",
    round_: float = 0,
) -> Markup:
    """``kind``: its classes; ``title`` shows where the pointer is."""
    body = Markup("<title>{}</title>").format(title) if title else Markup("")
    corner = Markup(' rx="{}"').format(number(round_)) if round_ else Markup("")
    return (
        Markup('<rect x="{}" y="{}" width="{}" height="{}" class="{}"').format(
            number(x), number(y), number(max(0.0, width)), number(max(0.0, height)), kind
        )
        + corner
        + (Markup(">") + body + Markup("</rect>") if title else Markup("/>"))
    )


def text(x: float, y: float, value: str, kind: str = "", anchor: str = "start") -> Markup:
    return Markup('<text x="{}" y="{}" class="{}" text-anchor="{}">{}</text>').format(
        number(x), number(y), kind, anchor, value
    )


def line(points: Sequence[tuple[float, float]], kind: str) -> Markup:
    """Through all of them, not closed."""
    path = " ".join(f"{number(x)},{number(y)}" for x, y in points)
    return Markup('<polyline points="{}" class="{}"/>').format(path, kind)


def image(x: float, y: float, width: float, height: float, uri: str) -> Markup:
    """``uri``: of our own making; each pixel stays one."""
    return Markup(
        '<image x="{}" y="{}" width="{}" height="{}" preserveAspectRatio="none" class="pixels" '
        'href="{}"/>'
    ).format(number(x), number(y), number(width), number(height), uri)


def link(target: str, inner: Markup) -> Markup:
    return Markup('<a href="{}">{}</a>').format(target, inner)


def units(value: str) -> int:
    """Room of a text: one for a Latin letter, two for an East Asian character."""
    return sum(2 if unicodedata.east_asian_width(c) in WIDE else 1 for c in value)


def clipped(value: str, room: float) -> str:
    """As much of a text as there is room for, in ``units``; empty if that is next to nothing."""
    if units(value) <= room:
        return value
    kept, used = "", 1
    for c in value:
        used += units(c)
        if used > room:
            break
        kept += c
    return f"{kept.rstrip()}…" if len(kept) >= 2 else ""


def paragraph(value: str) -> str:
    """Escaped, for where no markup is wanted."""
    return str(escape(value))
