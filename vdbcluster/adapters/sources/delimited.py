"""CSV and TSV: a header line, then rows.

In: a text file. Out: ``Parsed`` rows, all values text, an empty cell None.
Promise: quotes are read strictly; a row with more or fewer values than the header, or a quote where
none may be, is one bad row with its line; nothing is guessed about the separator, but a wrong one
is told.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vdbcluster.adapters.sources.batching import Parsed, Unreadable
from vdbcluster.adapters.sources.files import InputFile, Text, damage, is_damaged, open_text
from vdbcluster.errors import SourceRowError, UsageError
from vdbcluster.records.values import shown, type_of

MAX_CELL = 16 << 20
"""Characters of one value; more is an open quote that swallows the file."""
ROW_BYTES = 200
CELL_BYTES = 60
_LIKELY = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True)
class Dialect:
    """``delimiter`` is one character."""

    delimiter: str
    encoding: str


def dialect(delimiter: str, default: str, encoding: str) -> Dialect:
    """Raises ``UsageError`` for a separator that is not one character."""
    sign = {"\\t": "\t", "tab": "\t"}.get(delimiter, delimiter) or default
    if len(sign) != 1 or sign in '"\r\n':
        raise UsageError(f"the delimiter {delimiter!r} is not a single character, such as ; or tab")
    return Dialect(sign, encoding)


def read_delimited(file: InputFile, dialect: Dialect) -> Iterator[Parsed | Unreadable]:
    """All rows after the header. Raises ``UsageError`` where the header cannot be one."""
    csv.field_size_limit(max(csv.field_size_limit(), MAX_CELL))
    with open_text(file, dialect.encoding) as text:
        reader = csv.reader(text, delimiter=dialect.delimiter, strict=True)
        header = _header(file, _next(file, text, reader), dialect)
        text.settle()
        while (found := _next(file, text, reader)) is not None:
            damaged = text.settle()
            if damaged is not None:
                raw = found.raw if isinstance(found, Unreadable) else found
                yield Unreadable(damage(f"line {damaged:,}", dialect.encoding), raw)
            elif isinstance(found, Unreadable):
                yield found
            elif found:
                yield _row(header, found, text.number)


def _next(file: InputFile, text: Text, reader: Any) -> list[str] | Unreadable | None:
    """The next row, None at the end."""
    begin = text.number + 1
    try:
        return next(reader, None)
    except csv.Error as error:
        if "field limit" in str(error):
            raise SourceRowError(
                f"{file.name}: the row at line {begin:,} has a value of more than "
                f"{MAX_CELL >> 20} million characters; is a quote opened there and never closed?"
            ) from error
        if "unexpected end" in str(error):
            raise SourceRowError(
                f"{file.name}: a quote is opened in the row at line {begin:,} and never closed"
            ) from error
        return Unreadable(f"line {text.number:,}: {_plain(error)}")


def _plain(error: csv.Error) -> str:
    if "expected after" in str(error):
        return "a quote ends before the value does; double the quotes within a value"
    return str(error)


def _row(header: Sequence[str], cells: list[str], line: int) -> Parsed | Unreadable:
    if len(cells) != len(header):
        names, values = _many(len(header), "field"), _many(len(cells), "value")
        return Unreadable(f"line {line:,} has {values}, the header has {names}", cells)
    size = ROW_BYTES + sum(map(len, cells)) + CELL_BYTES * len(cells)
    row = {name: cell or None for name, cell in zip(header, cells, strict=True)}
    return Parsed(row, size)


def _header(file: InputFile, found: list[str] | Unreadable | None, said: Dialect) -> list[str]:
    if isinstance(found, Unreadable):
        raise UsageError(f"{file.name} has no header that can be read: {found.reason}")
    cells = [cell.strip() for cell in found or ()]
    if not any(cells):
        raise UsageError(f"{file.name} does not begin with a header line that names the fields")
    if any(map(is_damaged, cells)):
        raise UsageError(
            f"{file.name}: the header holds bytes that are not {said.encoding}; "
            "say the right --encoding"
        )
    _check_separator(file, cells, said)
    if all(type_of(cell, typed=False) in ("INT64", "DOUBLE") for cell in cells):
        raise UsageError(
            f"{file.name} begins with values ({shown(said.delimiter.join(cells))}), not with a "
            "header line that names the fields; put one first"
        )
    return _named(file, cells)


def _check_separator(file: InputFile, cells: list[str], said: Dialect) -> None:
    others = [sign for sign in _LIKELY if sign != said.delimiter and sign in cells[0]]
    if len(cells) == 1 and others:
        sign = "tab" if others[0] == "\t" else others[0]
        raise UsageError(
            f"{file.name}: the header is one field, {shown(cells[0])}; its fields seem to be "
            f"separated by {sign!r}: pass --delimiter '{sign}'"
        )


def _named(file: InputFile, cells: list[str]) -> list[str]:
    names = [cell or f"column_{place}" for place, cell in enumerate(cells, start=1)]
    for place, name in enumerate(names):
        first = names.index(name)
        if first != place:
            raise UsageError(
                f"{file.name}: columns {first + 1} and {place + 1} are both called {name!r}"
            )
    return names


def _many(number: int, word: str) -> str:
    return f"{number:,} {word}" + ("" if number == 1 else "s")
