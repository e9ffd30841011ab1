"""Texts of strangers, as they may stand in a question or on a card.

In: any text. Out: ``plain``: one line, without characters that are not seen; ``fenced``: lines in
a fence that none of them can close.
Promise: what is fenced is between ``<<<NAME CODE`` and ``NAME CODE>>>``, with a code that stands in
no line of it; each item is one line; the same lines have the same code.

A fence whose mark a text cannot know is the delimiting of Hines et al. 2024 ("Spotlighting", arXiv
2403.14720), who also show that it does not stop every injection: answers are checked as well. The
code is a hash and not drawn by lot, so that a question stays the same and its answer can be kept.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from hashlib import sha256

from vdbcluster.model.lines import one_line

CODE = 12
"""Hexadecimal digits of a code."""


def plain(text: str, width: int) -> str:
    """One line of at most ``width`` characters; what is unseen or steers a terminal is a blank.

    That takes out control characters, lone surrogates, marks of direction and tags (U+E0020 and
    on), in which a text can hide orders from people.
    """
    return one_line(text, width)


def folded(text: str) -> str:
    """``text`` as it is compared: compatibility forms (NFKC), case and blanks do not count."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def code_for(lines: Iterable[str]) -> str:
    """``CODE`` hexadecimal digits that stand in none of the lines, however they are written."""
    told = "\n".join(lines)
    seen, count = folded(told), 0
    while (code := _hash(told, count)) in seen:
        count += 1
    return code


def _hash(text: str, count: int) -> str:
    data = f"{count}\n{text}".encode("utf-8", "surrogatepass")
    return sha256(data).hexdigest()[:CODE]


def fenced(name: str, lines: Sequence[str], code: str) -> str:
    """The lines in a fence; ``(none)`` outside of one where there are none."""
    if not lines:
        return "(none)"
    return "\n".join([f"<<<{name} {code}", *lines, f"{name} {code}>>>"])


_MARKUP = re.compile(
    r"""[a-z][a-z0-9+.-]*://                # an address
      | \bwww\.\w | \b(?:mailto|javascript|data|file):\S
      | \b[\w-]+(?:\.[\w-]+)*\.[a-z]{2,24}/\S  # one without its scheme
      | <[a-z/!?]                           # HTML
      | &(?:\#\d+|\#x[0-9a-f]+|[a-z]{2,8});
      | \]\( | \]\[ | !\[                   # a link or image of Markdown
      | `""",
    re.IGNORECASE | re.VERBOSE,
)


def markup_in(text: str) -> str:
    """The first piece of ``text`` that is an address, HTML or Markdown; empty if there is none."""
    found = _MARKUP.search(unicodedata.normalize("NFKC", text))
    return found.group() if found else ""
