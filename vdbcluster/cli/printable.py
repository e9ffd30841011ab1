"""Text from files, servers and names, as a terminal may show it.

In: any text. Out: the same, each character that could steer a terminal (escape sequences, line
breaks, marks that turn the direction) written as an escape: ``\\x1b``. Promise: one line, and one
that every UTF-8 terminal takes.
"""

from __future__ import annotations


def printable(text: str) -> str:
    """``text`` with nothing in it but what is seen, and blanks."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
