"""Scripts without spaces, for which no analyser is installed: pieces of a few characters.

In: a run. Out: pieces, ``BREAK`` around them, so that none is joined with another.
Promise: every run of katakana is one term (it is a word more often than not); runs of Han give each
of their pairs, and the whole of a short run; hiragana, which writes endings and particles, nothing.
"""

from __future__ import annotations

import re

from vdbcluster.ports.tokens import BREAK

SHORT = 4
"""A run of Han of up to so many characters is likely to be one word."""
_STRETCH = re.compile(
    "(?P<katakana>[\u30a1-\u30fa\u30fc-\u30fe]{2,})|(?P<other>[^\\W\\d_\u3041-\u309f\u30a1-\u30ff]{2,})"
)
_CARRIERS = frozenset(
    "的了是在和与與及或不也都就而还還很被把让讓给給从從对對为為于於以之其此这這那个個们們你我他她"
    "它有没沒可能会會要将將已等着著过過吗嗎呢吧啊么麼何中上下後前時年月日人回本円者等用第"
)


class CharacterNgrams:
    """No dictionary."""

    description = "character n-grams"

    def terms(self, run: str, stop_words: frozenset[str]) -> list[str]:
        found = [BREAK]
        for stretch in _STRETCH.finditer(run):
            for piece in _pieces(stretch):
                if piece not in stop_words:
                    found += [piece, BREAK]
        return found


def _pieces(stretch: re.Match[str]) -> list[str]:
    text = stretch.group()
    if stretch.lastgroup == "katakana":
        return [text]
    pairs = [text[i : i + 2] for i in range(len(text) - 1)]
    whole = [text] if 2 < len(text) <= SHORT else []
    return [piece for piece in pairs + whole if not _CARRIERS.intersection(piece)]
