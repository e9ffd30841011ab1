"""Words of languages that put spaces between them, in lower case, without function words.

In: a run of text, stop words. Out: its terms, ``BREAK`` where something was left out.
Promise: a term begins with a letter and has two characters or more; deterministic.

Stop words by language rather than a part-of-speech tagger: function words are closed classes, so
a list has them all; a tagger needs a trained model for each language, and fails on titles and
fragments. English has a list of its own (see ``english``), other languages those of stopwords-iso.

    words("The cats' 3 dogs", frozenset({"the"})) == ["", "cats", "", "dogs"]
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.metadata import version

from vdbcluster.adapters.tokenizers.english import FUNCTION_WORDS
from vdbcluster.ports.tokens import BREAK

ENGLISH = "en"
KNOWN = 1 << 17
"""Words whose term is remembered: most of a text are words that were there before."""
MOST_LETTERS = 40
"""Longer ones are keys and encoded files."""
_MORE = {
    "de": """obwohl sowohl aufgrund sogar mehrere mehreren meisten meist fast möglicherweise
        dennoch trotzdem allerdings jedoch jedenfalls insbesondere insgesamt zudem außerdem daher
        deshalb deswegen somit sofern falls sodass statt anstatt mittels bezüglich bereits stets
        häufig manchmal eventuell vielleicht lediglich ebenfalls ebenso zumindest mindestens
        höchstens natürlich überhaupt wirklich einfach""",
    "fr": """également généralement notamment souvent toujours parfois cependant toutefois néanmoins
        afin lorsque puisque jusque ainsi aussi faire fait""",
    "es": """obstante generalmente mayoría además aunque mientras sino siempre veces hacer hace
        través según""",
}
"""Function words that the lists lack, as seen in texts of theirs."""
_EDGES = "'_-"
_ELISION = re.compile(r"^(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu|dell|nell|sull|dall|all|un)'(?=\w\w)")
_CLITIC = re.compile(r"'(?:s|t|d|m|re|ve|ll)?$")
_REPEATED = re.compile(r"^(.)\1*$")
_MIXED = re.compile(r"\d.*[^\W\d]|[^\W\d].*\d.*[^\W\d].*\d")
"""Letters after digits: keys and codes, rather than names such as ``mp3`` or ``covid-19``."""


@lru_cache(maxsize=KNOWN)
def word(run: str, stop_words: frozenset[str]) -> str:
    """The term that one run of letters stands for, ``BREAK`` if it is none."""
    folded = run.replace("\u2019", "'").lower().strip(_EDGES)
    if folded in stop_words or folded.replace("'", "") in stop_words:
        return BREAK
    bare = _CLITIC.sub("", _ELISION.sub("", folded)).strip(_EDGES)
    if bare in stop_words or not _fit(bare):
        return BREAK
    return bare


def _fit(term: str) -> bool:
    return (
        2 <= len(term) <= MOST_LETTERS
        and not term[0].isdigit()
        and _REPEATED.match(term) is None
        and _MIXED.search(term) is None
    )


@cache
def stop_words(language: str) -> frozenset[str]:
    """Of a language by its ISO 639-1 code; none if it is unknown."""
    if language == ENGLISH:
        return FUNCTION_WORDS
    from stopwordsiso import stopwords

    return frozenset(map(str.lower, stopwords(language))).union(_MORE.get(language, "").split())


def lists() -> str:
    """Where the stop words are from."""
    return f"stopwordsiso {version('stopwordsiso')}"
