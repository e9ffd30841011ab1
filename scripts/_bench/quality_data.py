"""Sets for the quality bench, most of them labelled.

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
    """``main``: counts in the means. ``label``: the column with the class, empty where there is
    none; ``unscored``: a class that means "none of the classes". ``most``: no more rows than that
    are taken, 0 is all.
    """

    name: str
    table: str
    model: str
    main: bool = True
    metric: str = "chord"
    label: str = "label"
    unscored: str = ""
    most: int = 0


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
    # Not in the means: a second embedding of one set, languages mixed (by topic, by language),
    # classes that are no clusters, made-up texts, no classes, pictures.
    LabelledSet("bbc-wordllama", "bbc2225", WORDLLAMA, main=False),
    LabelledSet("sib200-mix", "sib200_mix", E5, main=False),
    LabelledSet("sib200 by language", "sib200_mix", E5, main=False, label="lang"),
    LabelledSet("aipubcom", "aipubcom5k", E5, main=False),
    LabelledSet("bikeshed", "bikeshed", E5, main=False),
    LabelledSet("news870", "news870", E5, main=False, label=""),
    LabelledSet(
        "fashion", "fashion_mnist70k", "pca50", main=False, metric="euclidean", most=10_000
    ),
)


def present() -> list[LabelledSet]:
    """The sets whose files are there."""
    home = directory()
    return [s for s in SETS if home and all((home / name).exists() for name in _files(s))]


def size(which: LabelledSet, rows: int = 0) -> int:
    """How many rows ``load`` gives; only the head of the file is read."""
    home = directory()
    assert home is not None
    there = len(np.load(home / _files(which)[1], mmap_mode="r"))
    return min(there, *(most for most in (rows, which.most) if most), there)


def load(which: LabelledSet, rows: int) -> tuple[Any, Any]:
    """See the module; ``rows`` 0 means all."""
    home = directory()
    assert home is not None
    table, embedded = _files(which)
    vectors = np.load(home / embedded).astype(np.float32)
    classes = _classes(home / table, which, len(vectors))
    wanted = size(which, rows)
    if len(vectors) > wanted:
        kept = np.sort(np.random.default_rng(0).choice(len(vectors), wanted, replace=False))
        vectors, classes = vectors[kept], classes[kept]
    return vectors, classes


def _files(which: LabelledSet) -> tuple[str, str]:
    table = f"{which.table}.parquet"
    if which.metric == "euclidean":
        table = f"{which.table}.labels.u8.npy"
    return table, f"{which.table}.{which.model}.f16.npy"


def _classes(path: Any, which: LabelledSet, rows: int) -> Any:
    if not which.label:
        return np.full(rows, -1)
    if path.suffix == ".npy":
        return np.load(path).astype(np.int64)
    import pandas

    names = pandas.read_parquet(path, columns=[which.label])[which.label].astype(str).to_numpy()
    codes = np.unique(names, return_inverse=True)[1].astype(np.int64)
    return np.where(names == which.unscored, -1, codes)
