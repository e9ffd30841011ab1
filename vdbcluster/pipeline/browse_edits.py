"""What people may do to clusters from afar: the edits of ``pipeline.edits``, several at once.

In: changes by name. Out: one ``Edit``; ``Editing``, what carries it out.
Promise: all changes of one request are one step of the catalogue, or none is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from vdbcluster.errors import UsageError
from vdbcluster.model.catalogue import KEYWORD_BYTES, CatalogueEntry
from vdbcluster.model.lines import one_line
from vdbcluster.pipeline.edits import Edit, Merged, described_as, hidden, named, pinned

MOST_KEYWORDS = 50


@dataclass(frozen=True, slots=True)
class Editing:
    """``change``, ``unmerge``: of the catalogue; ``merge``: a run, under the lock of the labels."""

    change: Callable[[int, Edit], CatalogueEntry]
    merge: Callable[[int, int], Merged]
    unmerge: Callable[[int], CatalogueEntry]


@dataclass(frozen=True, slots=True)
class Changes:
    """What is None stays as it is."""

    name: str | None = None
    description: str | None = None
    keywords: Sequence[str] | None = None
    pinned: bool | None = None
    hidden: bool | None = None


def edit_of(changes: Changes) -> Edit:
    """All of them as one. ``UsageError`` if nothing is to change, or a text does not fit."""
    steps: list[Edit] = []
    if changes.name is not None:
        steps.append(named(changes.name))
    if changes.description is not None:
        steps.append(described_as(changes.description))
    if changes.keywords is not None:
        steps.append(with_keywords(changes.keywords))
    if changes.pinned is not None:
        steps.append(pinned(changes.pinned))
    if changes.hidden is not None:
        steps.append(hidden(changes.hidden))
    if not steps:
        raise UsageError("nothing is to change; say name, description, keywords, pinned or hidden")

    def edit(entry: CatalogueEntry) -> CatalogueEntry:
        for step in steps:
            entry = step(entry)
        return entry

    return edit


def with_keywords(words: Sequence[str]) -> Edit:
    """Its keywords from now on. ``UsageError`` for one that is empty or has several lines."""
    if len(words) > MOST_KEYWORDS:
        raise UsageError(f"there are {len(words)} keywords; there is room for {MOST_KEYWORDS}")
    for word in words:
        if not word or word != one_line(word, max(1, len(word))):
            raise UsageError(f"a keyword is one line of plain text, not {word!r}")
        if len(word.encode("utf-8", "replace")) > KEYWORD_BYTES:
            raise UsageError(f"a keyword has at most {KEYWORD_BYTES} bytes: {word[:40]!r}")
    kept = tuple(dict.fromkeys(words))
    return lambda entry: replace(entry, keywords=kept)
