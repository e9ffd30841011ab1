"""JSON: an array of objects, or one object a line.

In: a text file. Out: ``Parsed`` rows, values as JSON has them.
Promise: an array is read in pieces, so that it may be larger than memory; both kinds are read by
the same decoder, so that big numbers, NaN and escapes mean the same; a bad line is one bad row, a
broken array ends the reading with an error that says where.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from vdbcluster.adapters.sources.batching import Parsed, Unreadable
from vdbcluster.adapters.sources.files import InputFile, Text, damage, is_damaged, open_text
from vdbcluster.errors import SourceRowError, UsageError
from vdbcluster.records.values import shown

CHUNK = 1 << 20
MAX_ROW = 64 << 20
"""Characters of one element of an array."""
MEMORY = 3
"""An object takes about so many bytes for each character of its text."""

_BLANK = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def read_json_lines(file: InputFile, encoding: str) -> Iterator[Parsed | Unreadable]:
    """One object a line; blank lines do not count."""
    with open_text(file, encoding) as text:
        for line in text:
            damaged = text.settle()
            if damaged is not None:
                yield Unreadable(damage(f"line {damaged:,}", encoding), line)
            elif line.strip():
                yield _row(line, text.number)


def read_json(file: InputFile, encoding: str) -> Iterator[Parsed | Unreadable]:
    """The objects of one array. Raises ``UsageError`` if the file is anything else."""
    with open_text(file, encoding) as text:
        elements = _Elements(file, text)
        elements.enter()
        for place, element in enumerate(elements, start=1):
            if is_damaged(elements.last):
                yield Unreadable(damage(f"element {place:,}", encoding), elements.last)
            elif isinstance(element, dict):
                yield Parsed(element, MEMORY * len(elements.last))
            else:
                yield Unreadable(f"element {place:,} is no object: {shown(element)}", element)


def _row(line: str, number: int) -> Parsed | Unreadable:
    try:
        found = json.loads(line)
    except RecursionError:
        return Unreadable(f"line {number:,} is nested too deeply", line)
    except ValueError as error:
        return Unreadable(f"line {number:,} is no JSON: {_reason(error)}", line)
    if not isinstance(found, dict):
        return Unreadable(f"line {number:,} is no object: {shown(found)}", found)
    return Parsed(found, MEMORY * len(line))


def _reason(error: ValueError, begin: int = 0) -> str:
    """What the decoder says, with the place in the row that begins at ``begin``."""
    if not isinstance(error, json.JSONDecodeError):
        return "a number has too many digits"
    message = error.msg[0].lower() + error.msg[1:].removesuffix(" starting at")
    return f"{message} at character {error.pos - begin + 1:,}"


class _Elements:
    """The elements of the array in a text, decoded one by one from a window that moves on."""

    def __init__(self, file: InputFile, text: Text) -> None:
        self._file = file
        self._text = text
        self._window = ""
        self._at = 0
        self._ended = False
        self._number = 0
        self.last = ""

    def enter(self) -> None:
        """Step over the opening bracket."""
        sign = self._peek()
        if sign == "[":
            self._at += 1
            return
        if sign == "{":
            raise UsageError(
                f"{self._file.name} is one JSON object, not an array of objects; write the rows "
                "as [{...}, {...}], or one a line with --format jsonl"
            )
        raise UsageError(f"{self._file.name} is no JSON array: it begins with {sign!r}")

    def __iter__(self) -> Iterator[Any]:
        sign = self._peek()
        while sign != "]":
            self._number += 1
            yield self._element()
            sign = self._peek()
            if sign not in ",]":
                raise self._broken(f"after it comes {sign!r} in place of , or ]")
            if sign == ",":
                self._at += 1
                self._peek()
        rest = self._window[self._at + 1 :].strip() or self._text.read(CHUNK).strip()
        if rest:
            raise SourceRowError(
                f"{self._file.name} goes on after its array with {shown(rest)}; one array is "
                "expected, or one object a line (--format jsonl)"
            )

    def _peek(self) -> str:
        """The next character that is not blank; moves the window there."""
        while True:
            self._at = _BLANK.match(self._window, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._window):
                break
            if not self._more():
                raise self._broken("the file ends before the array does")
        if self._at >= CHUNK:
            self._window, self._at = self._window[self._at :], 0
        return self._window[self._at]

    def _element(self) -> Any:
        """Decode what begins here; read on as long as it is not complete."""
        while True:
            try:
                found, end = _DECODER.raw_decode(self._window, self._at)
            except RecursionError:
                raise self._broken("it is nested too deeply") from None
            except ValueError as error:
                reason = _reason(error, self._at)
                if not self._more():
                    raise self._broken(reason) from error
                continue
            # A number at the edge of the window may go on behind it.
            if end < len(self._window) or isinstance(found, dict | list | str) or not self._more():
                self.last = self._window[self._at : end]
                self._at = end
                return found

    def _more(self) -> bool:
        """Read on, twice as much each time; False at the end or if this is too much for a row."""
        size = len(self._window) - self._at
        if self._ended or size > MAX_ROW:
            return False
        found = self._text.read(max(CHUNK, size))
        self._ended = not found
        self._window, self._at = self._window[self._at :] + found, 0
        return bool(found)

    def _broken(self, reason: str) -> SourceRowError | UsageError:
        if not self._number:
            return UsageError(f"{self._file.name} is no JSON array: {reason}")
        return SourceRowError(
            f"{self._file.name} breaks off at element {self._number:,}: {reason}; "
            "what follows cannot be read"
        )
