r"""Filter expressions that hold primary keys, of any value.

In: a field's name and keys (``int`` or ``str``). Out: text for ``filter=``.
Promise: what the expression selects is what the keys say, on Lite and on servers alike, whichever
characters a key holds. Measured on Lite 3.2.2 and the server 2.3.5: ``\\ \" \n \r \t`` are
understood by both, every other character goes through as it is, control characters and NUL too;
the smallest INT64 cannot be written as a literal on 2.3.5, so it is written as a comparison.

    both(key_after("id", 'a"b'), "year > 2000")  ->  (id > "a\"b") and (year > 2000)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vdbcluster.model.arrays import Keys
from vdbcluster.model.collection import KeyField

Key = int | str

INT64_MIN = -(2**63)
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"})


def literal(value: Key) -> str:
    """A key as the expression language writes it."""
    return f'"{value.translate(_ESCAPES)}"' if isinstance(value, str) else str(int(value))


def key_in(field: str, keys: Sequence[Key] | Keys) -> str:
    """Rows whose key is one of ``keys`` (at least one)."""
    values = [key if isinstance(key, str) else int(key) for key in keys]
    listed = ", ".join(literal(key) for key in values if key != INT64_MIN)
    parts = [f"{field} in [{listed}]"] if listed else []
    if INT64_MIN in values:
        parts.append(f"{field} < {INT64_MIN + 1}")
    return " or ".join(parts)


def key_after(field: str, key: Key) -> str:
    """Rows whose key is greater than ``key``: numbers by value, strings by code point."""
    if key == INT64_MIN:
        return f"{field} >= {INT64_MIN + 1}"
    return f"{field} > {literal(key)}"


def key_between(field: str, first: Key, last: Key) -> str:
    """Rows whose key is at least ``first`` and at most ``last``."""
    upper = f"{field} <= {literal(last)}"
    if last == INT64_MIN:
        return key_in(field, [INT64_MIN])
    return upper if first == INT64_MIN else f"{field} >= {literal(first)} and {upper}"


def both(first: str, second: str) -> str:
    """Rows that satisfy both; an empty expression selects all rows.

    The order is kept: newer servers want certain operators on the right of ``and``.
    """
    if first and second:
        return f"({first}) and ({second})"
    return first or second


def every_row(key: KeyField) -> str:
    """A filter that all rows satisfy."""
    return f'{key.name} >= ""' if key.type == "VARCHAR" else f"{key.name} >= 0 or {key.name} < 0"


def in_batches(keys: Keys, rows: int = 1000, characters: int = 500_000) -> Iterator[slice]:
    """Slices of ``keys`` that ``key_in`` can take at once: bounded in number and in length.

    One key alone may exceed ``characters``; keys have at most 65,535.
    """
    if keys.dtype != object:
        yield from (
            slice(start, min(start + rows, len(keys))) for start in range(0, len(keys), rows)
        )
        return
    start, length = 0, 0
    for position, key in enumerate(keys):
        length += len(key)
        if position > start and (position - start >= rows or length > characters):
            yield slice(start, position)
            start, length = position, len(key)
    if start < len(keys):
        yield slice(start, len(keys))
