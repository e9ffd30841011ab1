"""Sizes as tiles that fill a rectangle, tiles within tiles for clusters within clusters.

In: ``Box``es. Out: ``Tile``s. Promise: pure; areas are in proportion to sizes within one level, and
tiles do not overlap. The layout is the squarified one (Bruls, Huizing and van Wijk 2000).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vdbcluster.model.report import Box

PAD, HEAD = 3.0, 15.0
"""Around tiles within a tile, and above them for its name."""
LEAST = 40.0
"""Of a side, for what is within to be drawn."""


@dataclass(frozen=True, slots=True)
class Tile:
    """``box`` at ``x``, ``y`` (its upper left corner), ``depth`` 0 for whole clusters."""

    box: Box
    x: float
    y: float
    width: float
    height: float
    depth: int


def tiles(boxes: Sequence[Box], width: float, height: float) -> list[Tile]:
    """Outer ones before those within them."""
    return _filled([box for box in boxes if box.size], 0.0, 0.0, width, height, 0)


def _filled(
    boxes: Sequence[Box], x: float, y: float, width: float, height: float, depth: int
) -> list[Tile]:
    found: list[Tile] = []
    for tile in _squarified(boxes, x, y, width, height, depth):
        found.append(tile)
        inner = tile.box.inner
        if len(inner) > 1 and min(tile.width, tile.height) > LEAST:
            # What is in none of those within keeps its room beside them.
            rest = tile.box.size - sum(box.size for box in inner)
            room = [*inner, *([Box("", tile.box.id, rest, "")] if rest > 0 else [])]
            within = _filled(
                room,
                tile.x + PAD,
                tile.y + HEAD,
                tile.width - 2 * PAD,
                tile.height - HEAD - PAD,
                depth + 1,
            )
            found += [one for one in within if one.box.path]
    return found


def _squarified(
    boxes: Sequence[Box], x: float, y: float, width: float, height: float, depth: int
) -> list[Tile]:
    left = sorted(boxes, key=lambda box: -box.size)
    total = sum(box.size for box in left)
    if not total or width <= 0 or height <= 0:
        return []
    scale = width * height / total
    found: list[Tile] = []
    while left:
        side = min(width, height)
        row = _row([box.size * scale for box in left], side)
        area = sum(box.size for box in left[:row]) * scale
        thick = area / side if side else 0.0
        at = y if width >= height else x
        for box in left[:row]:
            long = box.size * scale / thick if thick else 0.0
            if width >= height:
                found.append(Tile(box, x, at, thick, long, depth))
            else:
                found.append(Tile(box, at, y, long, thick, depth))
            at += long
        if width >= height:
            x, width = x + thick, width - thick
        else:
            y, height = y + thick, height - thick
        left = left[row:]
    return found


def _row(areas: Sequence[float], side: float) -> int:
    """How many go into the next row: as long as its worst tile gets no longer."""
    taken, worst = 1, _worst(areas[:1], side)
    while taken < len(areas) and (longer := _worst(areas[: taken + 1], side)) <= worst:
        taken, worst = taken + 1, longer
    return taken


def _worst(areas: Sequence[float], side: float) -> float:
    """The largest ratio of sides in a row."""
    total = sum(areas)
    square = side * side
    return max(square * max(areas) / total**2, total**2 / (square * min(areas)))
