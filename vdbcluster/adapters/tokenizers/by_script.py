"""``Tokenizer`` for texts in any scripts: cut where the script changes, each part by its own rules.

In: texts. Out: terms. Promise: deterministic; no network; what an extra would do better is told in
``notes``, once texts came that need it.

Words between spaces   in lower case, without the function words of the text's language
Japanese               Sudachi (extra ``ja``)
Chinese                jieba (extra ``zh``), traditional characters too
Korean                 words without their particles
Thai, Lao, ...         character n-grams, as Japanese and Chinese without their extras

Han without kana is Chinese, unless kana stand in most of the texts that have Han.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol

from vdbcluster.adapters.tokenizers import chinese, japanese, korean, scripts, spaced
from vdbcluster.adapters.tokenizers.ngrams import CharacterNgrams
from vdbcluster.adapters.tokenizers.speech import StopWords
from vdbcluster.errors import UsageError
from vdbcluster.ports.languages import LanguageDetector
from vdbcluster.ports.tokens import BREAK

MOST_KANA = 0.6
"""Texts with Han of which this share has kana are all Japanese: a short headline may have none."""
Han = Literal["auto", "ja", "zh"]


class Analyser(Protocol):
    description: str

    def terms(self, run: str, stop_words: frozenset[str]) -> list[str]: ...


@dataclass(frozen=True, eq=False)
class ScriptTokenizer:
    """``Tokenizer``.

    ``detector`` tells whose stop words a text needs; without it they are those of ``languages``.
    ``stop_words`` and ``dictionary`` are the user's: words that are never terms, and words or
    phrases that always are, even where they are cut, left out or begin with a digit otherwise.
    ``han``: what Han without kana is. ``extras``: False to do without them.
    Raises ``UsageError`` for an entry of the dictionary without a letter.
    """

    detector: LanguageDetector | None = None
    languages: tuple[str, ...] = ()
    stop_words: tuple[str, ...] = ()
    dictionary: tuple[str, ...] = ()
    han: Han = "auto"
    extras: bool = True
    _found: dict[str, Analyser] = field(default_factory=dict, init=False, repr=False)
    _notes: dict[str, None] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for entry in self.dictionary:
            if not any(character.isalpha() for character in entry):
                raise UsageError(f"{entry!r} in the dictionary of terms has no letter")

    @property
    def description(self) -> str:
        used = [f"words ({spaced.lists()})", *(f"{a.description}" for a in self._found.values())]
        return "; ".join(dict.fromkeys(used))

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes)

    def terms(self, texts: Sequence[str | None]) -> list[list[str]]:
        plain = [scripts.normal(text) if text else "" for text in texts]
        stops = StopWords(self.detector, self.languages, self.stop_words).of(plain)
        kana_alone = self._without_kana(plain)
        return [
            _tidy(self._of_one(text, kana_alone, stop))
            for text, stop in zip(plain, stops, strict=True)
        ]

    def _without_kana(self, texts: list[str]) -> str:
        """What Han in a text without kana is."""
        if self.han != "auto":
            return self.han
        with_han = [text for text in texts if scripts.has_han(text)]
        kana = sum(scripts.has_kana(text) for text in with_han)
        return "ja" if kana > MOST_KANA * len(with_han) else "zh"

    def _of_one(self, text: str, kana_alone: str, stop_words: frozenset[str]) -> list[str]:
        han = "ja" if scripts.has_kana(text) else kana_alone
        found: list[str] = []
        at = 0
        for entry in self._entries(text):
            found += self._cut(text[at : entry.start()], han, stop_words)
            found.append(" ".join(entry.group().split()).lower())
            at = entry.end()
        return found + self._cut(text[at:], han, stop_words)

    def _cut(self, text: str, han: str, stop_words: frozenset[str]) -> list[str]:
        found: list[str] = []
        end = 0
        for kind, run, start in scripts.runs(text):
            if text[end:start].strip():
                found.append(BREAK)
            end = start + len(run)
            if kind == scripts.SPACED:
                found.append(spaced.word(run, stop_words))
            elif kind == scripts.HANGUL:
                found.append(korean.word(run, stop_words))
            else:
                analyser = self._analyser(han if kind == scripts.HAN else kind)
                found += analyser.terms(run, stop_words)
        return found

    def _analyser(self, language: str) -> Analyser:
        if language not in self._found:
            self._found[language] = self._load(language)
        return self._found[language]

    def _load(self, language: str) -> Analyser:
        made: dict[str, tuple[Callable[[], Analyser], str, str]] = {
            "ja": (japanese.Sudachi, "Japanese", japanese.EXTRA),
            "zh": (chinese.Jieba, "Chinese", chinese.EXTRA),
        }
        if language not in made:
            self._notes["scripts without spaces: keywords are pieces of a few characters"] = None
            return CharacterNgrams()
        analyser, name, extra = made[language]
        if self.extras:
            try:
                return analyser()
            except ImportError:
                pass
        self._notes[f"{name} keywords are pieces of a few characters; for words: {extra}"] = None
        return CharacterNgrams()

    @cached_property
    def _dictionary(self) -> re.Pattern[str] | None:
        """Longest first; at word borders where the entry's edge is of a script with spaces."""
        if not self.dictionary:
            return None
        plain = sorted(
            {scripts.normal(e).strip() for e in self.dictionary}, key=lambda e: (-len(e), e)
        )
        return re.compile("|".join(map(_bordered, plain)), re.IGNORECASE)

    def _entries(self, text: str) -> list[re.Match[str]]:
        return list(self._dictionary.finditer(text)) if self._dictionary else []


def _bordered(entry: str) -> str:
    before = "" if scripts.is_unspaced(entry[0]) else f"(?<!{scripts.LETTER})"
    after = "" if scripts.is_unspaced(entry[-1]) else f"(?!{scripts.LETTER})"
    return before + r"\s+".join(map(re.escape, entry.split())) + after


def _tidy(terms: list[str]) -> list[str]:
    """One break at a time, none at the ends."""
    found: list[str] = []
    for term in terms:
        if term != BREAK or (found and found[-1] != BREAK):
            found.append(term)
    if found and found[-1] == BREAK:
        found.pop()
    return found
