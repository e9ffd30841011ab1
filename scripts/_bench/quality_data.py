"""Labelled sets for the quality bench.

In: the name of a set, the most rows wanted. Out: vectors ``(n, d) float32`` and the class of each
row ``(n,) int64``, ``-1`` where a row has none and is clustered but not scored.
The files lie beside the repository, see ``tests/data.py``; a set whose files are absent is left
out.
Of more rows than wanted a fixed sample is taken, so that all methods see the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.data import directory

MINILM, E5, WORDLLAMA = "minilm-l6-int8.384", "e5-small-q4.384", "wordllama.256"


@dataclass(frozen=True)
class LabelledSet:
    """``main``: counts in the means. ``unscored``: a class that means "none of the classes"."""

    name: str
    table: str
    model: str
    main: bool = True
    metric: str = "chord"
    unscored: str = ""


SETS = (
    LabelledSet("20news", "20news7k", MINILM),
    LabelledSet("agnews", "agnews4k", MINILM),
    LabelledSet("banking77", "banking77", MINILM),
    LabelledSet("bbc", "bbc2225", MINILM),
    LabelledSet("clinc150", "clinc150", MINILM, unscored="oos"),
    LabelledSet("livedoor", "livedoor", E5),
    LabelledSet("polis", "polis4k", E5),
    LabelledSet("stackoverflow", "stackoverflow20k", MINILM),
    LabelledSet("thucnews", "thucnews10k", E5),
    # Not in the means: a second embedding of one set, languages mixed, classes that are no
    # clusters, made-up texts, pictures.
    LabelledSet("bbc-wordllama", "bbc2225", WORDLLAMA, main=False),
    LabelledSet("sib200-mix", "sib200_mix", E5, main=False),
    LabelledSet("aipubcom", "aipubcom5k", E5, main=False),
    LabelledSet("bikeshed", "bikeshed", E5, main=False),
    LabelledSet("fashion", "fashion_mnist70k", "pca50", main=False, metric="euclidean"),
)


def present() -> list[LabelledSet]:
    """The sets whose files are there."""
    home = directory()
    return [s for s in SETS if home and all((home / name).exists() for name in _files(s))]


def load(which: LabelledSet, rows: int) -> tuple[Any, Any]:
    """See the module; ``rows`` 0 means all."""
    home = directory()
    assert home is not None
    table, embedded = _files(which)
    vectors = np.load(home / embedded).astype(np.float32)
    classes = _classes(home / table, which)
    if rows and len(vectors) > rows:
        kept = np.sort(np.random.default_rng(0).choice(len(vectors), rows, replace=False))
        vectors, classes = vectors[kept], classes[kept]
    return vectors, classes


def _files(which: LabelledSet) -> tuple[str, str]:
    table = f"{which.table}.parquet"
    if which.metric == "euclidean":
        table = f"{which.table}.labels.u8.npy"
    return table, f"{which.table}.{which.model}.f16.npy"


def _classes(path: Any, which: LabelledSet) -> Any:
    if path.suffix == ".npy":
        return np.load(path).astype(np.int64)
    import pandas

    names = pandas.read_parquet(path, columns=["label"])["label"].astype(str).to_numpy()
    codes = np.unique(names, return_inverse=True)[1].astype(np.int64)
    return np.where(names == which.unscored, -1, codes)
