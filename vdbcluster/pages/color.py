"""How far apart two colours look, also to eyes that lack a kind of cone.

In: colours as ``#rrggbb``. Out: distances. Promise: pure; the same everywhere.

A distance is that of Oklab times 100 (deltaEOK of CSS Color 4, after Ottosson 2020): 2 is just
seen, 10 is told apart at a glance. Protan, deutan and tritan vision are simulated as by Machado,
Oliveira and Fernandes 2009, at full severity.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vdbcluster.model.arrays import Float64Array

VISIONS = ("normal", "protan", "deutan", "tritan")
_SEEN = np.array(
    [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    ]
)
_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def linear(colors: Sequence[str]) -> Float64Array:
    """``(n, 3)`` light of red, green and blue in [0, 1], of colours ``#rrggbb``."""
    values = [[int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)] for color in colors]
    coded = np.array(values, np.float64).reshape(-1, 3)
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def oklab(light: Float64Array) -> Float64Array:
    """``(n, 3)`` lightness and two opponent axes, of linear light ``(n, 3)``."""
    return np.asarray(np.cbrt(light @ _LMS.T) @ _LAB.T, np.float64)


def as_seen(colors: Sequence[str]) -> Float64Array:
    """``(4, n, 3)`` Oklab as each of ``VISIONS`` has it."""
    light = linear(colors)
    return np.stack([oklab(np.clip(light @ seen.T, 0.0, 1.0)) for seen in _SEEN])


def distances(colors: Sequence[str]) -> Float64Array:
    """``(4, n, n)``: by vision, every pair; 0 to about 100."""
    seen = as_seen(colors)
    return np.asarray(100.0 * np.linalg.norm(seen[:, :, None] - seen[:, None, :], axis=3))
