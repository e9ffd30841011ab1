"""A sweep as a page that any browser shows, without a network.

In: a ``Sweep``, a path. Out: one HTML file that holds everything, the drawing code included.
Promise: written beside its place and renamed into it, so that no half page is left.
"""

from __future__ import annotations

import html
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

if TYPE_CHECKING:
    from vdbcluster.wiring.sweep import Cell, Sweep

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
HEIGHT = 240
Figure = tuple[str, Callable[["Cell"], float | None]]


def write_plot(found: Sweep, path: Path) -> None:
    """Draw it; see the module."""
    page = figure(found).to_html(include_plotlyjs=True, full_html=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(page, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def figure(found: Sweep) -> Any:
    """One panel a figure over ``min_cluster_size``, one line for each ``min_samples``."""
    panels = _panels(found)
    plot = make_subplots(
        rows=len(panels),
        shared_xaxes=True,
        vertical_spacing=0.06,
        subplot_titles=[title for title, _ in panels],
    )
    for m, color in zip(sorted({c.min_samples for c in found.cells}), _colors(), strict=False):
        line = [cell for cell in found.cells if cell.min_samples == m]
        for row, (title, value) in enumerate(panels, start=1):
            plot.add_trace(_trace(line, title, value, color, shown=row == 1), row=row, col=1)
    if found.plateau:
        # without a text of its own, which plotly puts elsewhere where the axis is logarithmic
        plot.add_vrect(
            found.plateau.first,
            found.plateau.last,
            fillcolor="#999999",
            opacity=0.2,
            line_width=0,
        )
    plot.update_xaxes(type="log", dtick="D2")
    plot.update_xaxes(title_text="min_cluster_size", row=len(panels))
    plot.update_layout(
        title=_title(found),
        height=HEIGHT * len(panels),
        template="plotly_white",
    )
    return plot


def _panels(found: Sweep) -> list[Figure]:
    panels: list[Figure] = [
        ("clusters", lambda cell: cell.clusters),
        ("noise, share of the rows", lambda cell: cell.noise),
    ]
    if found.repeats:
        panels.append(("stability, AMI with samples", lambda cell: cell.stability))
    panels.append(("AMI with the next min_cluster_size", lambda cell: cell.next))
    if found.truth_field:
        title = f"AMI with {html.escape(found.truth_field)}"
        panels.append((title, lambda cell: cell.ami))
    return panels


def _trace(
    line: list[Cell], title: str, value: Callable[[Cell], float | None], color: str, *, shown: bool
) -> Any:
    """Cells of the plateau are filled, the others hollow."""
    m = line[0].min_samples
    return go.Scatter(
        x=[cell.min_cluster_size for cell in line],
        y=[value(cell) for cell in line],
        name=f"min_samples {m}",
        legendgroup=str(m),
        showlegend=shown,
        mode="lines+markers",
        line={"color": color},
        marker={"size": 8, "symbol": ["circle" if c.plateau else "circle-open" for c in line]},
        hovertemplate=f"min_cluster_size %{{x}}<br>{title} %{{y:.3~f}}<extra></extra>",
    )


def _title(found: Sweep) -> str:
    title = html.escape(f"{found.collection}, {found.rows:,} rows")
    if found.plateau is None:
        return title
    best = found.plateau
    return (
        f"{title}<br><sup>grey: longest plateau, min_cluster_size {best.first} to {best.last} with "
        f"min_samples {best.min_samples}; filled: plateau of its line</sup>"
    )


def _colors() -> list[str]:
    return list(COLORS) * 20
