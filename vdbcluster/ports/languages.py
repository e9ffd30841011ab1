"""Who says which language a text is in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray


class LanguageDetector(Protocol):
    """Works without network; the same text gives the same code, whatever comes beside it."""

    @property
    def description(self) -> str:
        """The detector and its version, for the record of a run."""
        ...

    def detect(self, texts: Sequence[str | None]) -> NDArray[Any]:
        """Codes ``(len(texts),) object`` of ``str``: ISO 639-1 where there is one, else 639-3.

        ``und`` where there is no text, no language in it, or too little of it to tell.
        """
        ...
