"""Whose function words are left out of which text.

In: texts. Out: for each its stop words. Promise: of a text in one of the set's languages those of
that language alone, since function words of one are content in another (German ``war``, ``die``);
of a text that is too short to tell those of all languages of the set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from vdbcluster.adapters.tokenizers import spaced
from vdbcluster.ports.languages import LanguageDetector

SAMPLE = 1000
"""Texts that suffice to tell the languages of a set."""
SHARE = 0.03
"""A language counts from this share of the texts."""


@dataclass(frozen=True, slots=True)
class StopWords:
    """``languages``: codes that need no detecting; ``own``: words of the user."""

    detector: LanguageDetector | None
    languages: tuple[str, ...]
    own: tuple[str, ...]

    def of(self, texts: Sequence[str]) -> list[frozenset[str]]:
        languages = self.languages or self._counted(texts)
        each = {code: _words((code,), self.own) for code in languages}
        every = _words(languages, self.own)
        if self.detector is None or len(each) < 2:
            return [every] * len(texts)
        return [each.get(code, every) for code in self.detector.detect(texts)]

    def _counted(self, texts: Sequence[str]) -> tuple[str, ...]:
        """The languages of the set, and English."""
        if self.detector is None:
            return (spaced.ENGLISH,)
        step = max(1, len(texts) // SAMPLE)
        codes = Counter(self.detector.detect(texts[::step]))
        codes.pop("und", None)
        total = sum(codes.values())
        counted = {code for code, size in codes.items() if size >= SHARE * total}
        return tuple(sorted(counted | {spaced.ENGLISH}))


@lru_cache(maxsize=64)
def _words(languages: tuple[str, ...], own: tuple[str, ...]) -> frozenset[str]:
    """Of all ``languages`` and of English, whose words stand in texts of any; one object each."""
    lists = [spaced.stop_words(code) for code in (*languages, spaced.ENGLISH)]
    return frozenset().union((word.lower() for word in own), *lists)
