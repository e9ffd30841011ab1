"""Pictures of many small things as PNG, which print and weigh little.

In: numbers, colours. Out: ``data:`` URIs of PNG files. Promise: pure; the same bytes every time.

The file is written by hand, an indexed PNG being a header, a palette and one compressed block (PNG
specification, third edition): it is two dozen lines, and a library for it would be a dependency.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vdbcluster.model.arrays import Float32Array, Int64Array

Pixels = NDArray[np.uint8]
STEPS = 100
"""Shades of a heat map on either side of 0."""
NEAR, FAR = "1f7dc6", "d17027"
"""Of cosines above and below 0: told apart by colour-blind eyes too."""


def png(pixels: Pixels, palette: Sequence[tuple[str, int]]) -> str:
    """A ``data:`` URI. ``pixels (h, w)``: places in ``palette``, colours ``rrggbb`` with alpha."""
    height, width = pixels.shape
    colors = b"".join(bytes.fromhex(color) for color, _ in palette)
    alphas = bytes(alpha for _, alpha in palette)
    rows = np.hstack([np.zeros((height, 1), np.uint8), pixels]).tobytes()
    parts = (
        _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        _chunk(b"PLTE", colors),
        _chunk(b"tRNS", alphas),
        _chunk(b"IDAT", zlib.compress(rows, 9)),
        _chunk(b"IEND", b""),
    )
    file = b"\x89PNG\r\n\x1a\n" + b"".join(parts)
    return f"data:image/png;base64,{base64.b64encode(file).decode()}"


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def heat(cosines: Float32Array, full: float = 1.0) -> str:
    """``(k, k)`` as ``k`` by ``k`` pixels: transparent at 0, of full colour from ``full`` on."""
    places = np.rint(np.clip(cosines / full, -1, 1) * STEPS).astype(np.int64) + STEPS
    shades = [
        (FAR if step < 0 else NEAR, round(255 * abs(step) / STEPS))
        for step in range(-STEPS, STEPS + 1)
    ]
    return png(places.astype(np.uint8), shades)


@dataclass(frozen=True, slots=True, eq=False)
class Scatter:
    """``uri``: of the picture, ``width`` by ``height``; ``places (n, 2)``: of points in it."""

    uri: str
    width: int
    height: int
    places: Float32Array


def scatter(
    points: Float32Array, slots: Int64Array, colors: Sequence[str], width: int, height: int
) -> Scatter:
    """Points as dots, evenly scaled; those of the first colour below all others.

    ``points (n, 2)`` finite; ``slots (n,)``: places in ``colors``, which are ``rrggbb``.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    radius = _radius(len(points), width * height)
    room = np.array([width, height]) - 2 * (radius + 2)
    scale = float((room / np.maximum(high - low, 1e-9)).min())
    middle = np.array([width, height]) / 2
    places = (points - (low + high) / 2) * scale * np.array([1, -1]) + middle
    order = np.random.default_rng(0).permutation(len(points))
    order = order[np.argsort(slots[order] > 0, kind="stable")]
    pixels = np.zeros((height, width), np.uint8)
    x, y = np.rint(places[order]).astype(np.int64).T
    for dx, dy in _disk(radius):
        pixels[np.clip(y + dy, 0, height - 1), np.clip(x + dx, 0, width - 1)] = slots[order] + 1
    palette = [("000000", 0), *((color, 255) for color in colors)]
    return Scatter(png(pixels, palette), width, height, np.asarray(places, np.float32))


def _radius(n: int, area: int) -> int:
    """So that all dots together would cover about a sixth of the picture."""
    return int(np.clip(np.sqrt(area / 6 / max(n, 1) / np.pi), 0, 5))


def _disk(radius: int) -> list[tuple[int, int]]:
    reach = range(-radius, radius + 1)
    return [(x, y) for x in reach for y in reach if x * x + y * y <= radius * (radius + 0.8)]
