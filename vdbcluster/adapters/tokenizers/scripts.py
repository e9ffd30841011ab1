"""Where one script ends and the next begins.

In: a text. Out: its runs of one kind of script each, in order; what is no word is left out.
Promise: every run is a piece of the text after NFKC; addresses, mentions and signs never are.

    list(runs("iPhone用の café")) == [(SPACED, "iPhone", 0), (HAN, "用の", 6), (SPACED, "café", 9)]
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

SPACED, HAN, HANGUL, UNSPACED = "spaced", "han", "hangul", "unspaced"
"""Words between spaces; Chinese and Japanese; Korean; Thai and others that use no spaces."""

_HAN = "\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA = "\u3041-\u309f\u30a0-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
_HANGUL = "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0670\u200c"
    "\u0900-\u0903\u093a-\u094f\u0962\u0963\u0981-\u0983\u09bc-\u09cd\u0a3c-\u0a4d\u0abc-\u0acd"
    "\u0b3c-\u0b4d\u0bbe-\u0bcd\u0c3e-\u0c4d\u0cbc-\u0ccd\u0d3e-\u0d4d"
)
"""Vowel signs and points, which stand inside words although they are no letters."""
_BESIDE_HAN = "\u3001\u3002\u30fb\uff01-\uff0f\u300c-\u300f0-9"
"""Signs and digits between Han are left to the analyser, which knows what they part."""

ADDRESS = re.compile(
    r"""(?xi)
    [a-z][a-z0-9+.-]{1,9}://[^\s\u3000-\u9fff]+                 # addresses with a scheme
    | (?<![a-z0-9])www\.[^\s\u3000-\u9fff]+
    | (?<![a-z0-9_.+-])[a-z0-9_.+-]{1,64}@[a-z0-9_.-]{1,253}   # e-mail, also user@host
    | (?<![a-z0-9_])@[a-z0-9_]+                                # mentions
    | (?<![a-z0-9.-])(?:[a-z0-9-]{1,63}\.){1,8}(?:com|org|edu|gov|html?|php)(?![a-z0-9])
      (?:/[^\s\u3000-\u9fff]*)?
    | &(?:\#\d+|\#x[0-9a-f]+|[a-z]{2,8});                      # what is left of HTML
    | <[^<>\n]{1,200}>
    """
)
LETTER = rf"[^\W{_HAN}{_KANA}{_UNSPACED}]"
"""Of a script with spaces, or a digit: beside it a word goes on."""
_RUN = re.compile(
    rf"(?P<han>[{_HAN}{_KANA}][{_HAN}{_KANA}{_BESIDE_HAN}]*)"
    rf"|(?P<hangul>[{_HANGUL}]+)"
    rf"|(?P<unspaced>[{_UNSPACED}]+)"
    rf"|(?P<spaced>(?:[^\W{_HAN}{_KANA}{_HANGUL}{_UNSPACED}]|[{_MARKS}'\u2019-])+)"
)
_TIGHT = re.compile(rf"[{_HAN}{_KANA}{_UNSPACED}]")
_HAS_KANA = re.compile(rf"[{_KANA}]")
_HAS_HAN = re.compile(rf"[{_HAN}]")


def runs(text: str) -> Iterator[tuple[str, str, int]]:
    """Kind, text and place of each run; ``text`` is one that ``normal`` has given."""
    for found in _RUN.finditer(text):
        yield str(found.lastgroup), found.group(), found.start()


def normal(text: str) -> str:
    """NFKC (full-width letters become plain), a sign for each address so that it parts words."""
    return ADDRESS.sub(" | ", unicodedata.normalize("NFKC", text))


def has_kana(text: str) -> bool:
    return _HAS_KANA.search(text) is not None


def has_han(text: str) -> bool:
    return _HAS_HAN.search(text) is not None


def is_unspaced(character: str) -> bool:
    """Whether words of its script are written without spaces between them."""
    return _TIGHT.match(character) is not None
