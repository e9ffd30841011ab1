"""Who cuts texts into the terms that keywords are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

BREAK = ""
"""Stands where something was left out; no n-gram reaches across it."""


class Tokenizer(Protocol):
    """Works without network; the same texts give the same terms."""

    @property
    def description(self) -> str:
        """What cuts which script, with versions, for the record of a run."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the texts cut so far: a fallback, and what to install."""
        ...

    def terms(self, texts: Sequence[str | None]) -> list[list[str]]:
        """The terms of each text in their order, ``len(texts)`` lists, ``BREAK`` between them.

        Terms are in lower case, and never function words, numbers, addresses or signs. Texts of one
        set should come together: what is not said of a text is judged by the others. None, and a
        text without a term, give an empty list.
        """
        ...
