"""The vectors that are measured, by one rule.

In: a number of rows, a seed. Out: ``(n, 384) float32`` of length one.
Rule: the base is the MiniLM embeddings of ``stackoverflow20k`` and ``banking77`` (33,083 texts) in
``shared/data`` beside the repository, or in the directory that ``VDBCLUSTER_TEST_DATA`` names. Up
to 20,000 rows are a random sample of it without repetition. More rows are the base, shuffled and
repeated, each plus Gaussian noise of length 0.5, and normalised again (cosine to its original
about 0.9: two texts of one meaning). Without that data, a mixture stands in for the base: 33,083
rows, 300 centres whose sizes fall as 1/rank, noise of length 0.9 around them, one row in five
anywhere.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DIM = 384
SAMPLED_ROWS = 20_000
NOISE = 0.5
SYNTHETIC_ROWS, CENTRES, SPREAD, ANYWHERE = 33_083, 300, 0.9, 0.2
FILES = (
    "stackoverflow20k.minilm-l6-int8.384.f16.npy",
    "banking77.minilm-l6-int8.384.f16.npy",
)
Float32Array = NDArray[np.float32]


def data_directory() -> Path | None:
    """Where the embeddings are, or None."""
    named = os.environ.get("VDBCLUSTER_TEST_DATA")
    home = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "data"
    return home if all((home / name).exists() for name in FILES) else None


def source() -> str:
    """What the vectors are made from, in a word."""
    return "MiniLM embeddings" if data_directory() else "synthetic mixture"


def vectors(n: int, seed: int) -> Float32Array:
    """See the module."""
    rng = np.random.default_rng(seed)
    real = base(rng)
    order = rng.permutation(len(real))
    if n <= SAMPLED_ROWS:
        return unit(real[order[:n]])
    points = real[np.resize(order, n)]
    for rows in (slice(start, start + 8192) for start in range(0, n, 8192)):
        points[rows] += noise(rng, len(points[rows]), NOISE)
    return unit(points)


def base(rng: np.random.Generator, files: tuple[str, ...] = FILES) -> Float32Array:
    """The embeddings of ``files``, or the mixture that stands in for them."""
    home = data_directory()
    if home is not None:
        return unit(np.concatenate([np.load(home / name).astype(np.float32) for name in files]))
    centres = unit(noise(rng, CENTRES, 1.0))
    share = 1 / np.arange(1, CENTRES + 1)
    member = rng.choice(CENTRES, SYNTHETIC_ROWS, p=share / share.sum())
    points = centres[member] + noise(rng, SYNTHETIC_ROWS, SPREAD)
    anywhere = rng.random(SYNTHETIC_ROWS) < ANYWHERE
    points[anywhere] = noise(rng, int(anywhere.sum()), 1.0)
    return unit(points)


def noise(rng: np.random.Generator, n: int, length: float) -> Float32Array:
    return rng.standard_normal((n, DIM), np.float32) * np.float32(length / DIM**0.5)


def unit(points: Float32Array) -> Float32Array:
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points
