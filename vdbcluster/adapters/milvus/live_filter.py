"""Filters that strangers write, made safe to stand beside ours.

In: text for ``filter=``. Out: nothing, or one line of ``UsageError``.
Promise: what passes is one expression by itself, so that ``(ours) and (theirs)`` selects no row
that ours does not. Two things see to that. Here: brackets and quotes pair up, and a text in quotes
holds only escapes that every server reads alike. At the server: it is asked for the text alone,
before the two are put together, and ``x > 1) or (y > 1`` alone is no expression.
"""

from __future__ import annotations

from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.errors import (
    backend_errors,
    failure_of,
    is_not_loaded,
    translate,
)
from vdbcluster.errors import BackendUnavailableError, CollectionChangedError, UsageError

_PAIRS = {")": "(", "]": "["}
_ESCAPED = frozenset("\\\"'nrt%_")
_BLANKS = frozenset("\t\n\r ")


def check_shape(text: str) -> None:
    """``UsageError`` unless brackets and quotes pair up."""
    opened: list[str] = []
    place = 0
    while place < len(text):
        char = text[place]
        if char in "\"'":
            place = _end_of_text(text, place)
        elif char in "([":
            opened.append(char)
        elif char in ")]":
            if not opened or opened.pop() != _PAIRS[char]:
                raise _refused(text, f"the {char!r} at character {place + 1} closes nothing")
        elif not char.isprintable() and char not in _BLANKS:
            raise _refused(text, f"it holds the control character {char!r}")
        place += 1
    if opened:
        raise _refused(text, f"a {opened[-1]!r} is not closed")


def _end_of_text(text: str, start: int) -> int:
    """Where the text in quotes that begins at ``start`` ends."""
    place = start + 1
    while place < len(text):
        char = text[place]
        if char == text[start]:
            return place
        if char == "\\":
            place += 1
            if place >= len(text) or text[place] not in _ESCAPED:
                raise _refused(text, "a backslash stands only before \\, a quote, n, r, t, % or _")
        elif char != "\t" and ord(char) < 32:
            raise _refused(text, "a line break stands in quotes; write \\n")
        place += 1
    raise _refused(text, f"the quote at character {start + 1} is not closed")


def check_alone(connection: MilvusConnection, collection: str, key: str, text: str) -> None:
    """``UsageError`` if the server does not take ``text`` as a whole filter."""
    try:
        connection.raw(
            lambda client, limit: client.query(
                collection,
                filter=text,
                output_fields=[key],
                limit=1,
                timeout=limit,
                consistency_level="Bounded",
            )
        )
    except backend_errors() as error:
        found = translate(error, f"searching {collection!r}")
        away = isinstance(found, BackendUnavailableError | CollectionChangedError)
        if away or is_not_loaded(error):
            raise found from error
        raise _refused(text, failure_of(error).line) from error


def _refused(text: str, why: str) -> UsageError:
    shown = text if len(text) <= 100 else f"{text[:99]}…"
    return UsageError(f"the filter {shown!r} is none that the database understands: {why}")
