"""Keys made from contents, and rows that come more than once.

In: texts and fields; then records, in the order of the source. Out: digests; records as they are
to be written. Promise: the same content has the same digest in every run and on every machine; a
row seen costs two digests of memory at most, never its text.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from vdbcluster.model.records import Record, RecordShape, RowFault
from vdbcluster.records.options import COUNT_FIELD, DuplicateRule
from vdbcluster.records.values import as_json, shown

DIGEST_BYTES = 16
_CONTENT_BITS = 8 * DIGEST_BYTES


def content_of(text: str | None, fields: Mapping[str, Any]) -> bytes:
    """Digest (BLAKE2b, 128 bits) of a row without its key; a missing field counts as absent.

    Raises ``MisfitError`` for a field that JSON cannot say.
    """
    return digest_of(text, as_json({k: v for k, v in fields.items() if v is not None}))


def digest_of(text: str | None, fields: str) -> bytes:
    """``content_of`` for fields that are canonical JSON already."""
    body = b"" if text is None else text.encode()
    framed = b"%d:%b%b" % (-1 if text is None else len(body), body, fields.encode())
    return hashlib.blake2b(framed, digest_size=DIGEST_BYTES).digest()


def hash_key(content: bytes, copy: int = 1) -> str:
    """The key of the ``copy``-th row of this content: 32 hexadecimal digits."""
    if copy == 1:
        return content.hex()
    return hashlib.blake2b(b"%b#%d" % (content, copy), digest_size=DIGEST_BYTES).hexdigest()


def count_contents(records: Iterable[Record]) -> Counter[bytes]:
    """How many rows have each content; the first pass of the rule ``count``."""
    return Counter(record.content for record in records)


class Duplicates:
    """Sifts records by the rule that the user has chosen; call it with each, in order.

    ``keep``: every row stays; where keys are hashes, the n-th copy has a key of its own. ``drop``:
    the first of each content stays. ``count``: the same, and the field ``duplicates`` says how many
    there are by ``counts`` (of ``count_contents``). Where the source has keys, a row with the key
    and the content of an earlier one is always a copy; one with the key of an earlier one but other
    content is a fault.
    """

    def __init__(
        self,
        rule: DuplicateRule,
        shape: RecordShape,
        counts: Mapping[bytes, int] | None = None,
    ) -> None:
        self._rule = rule
        self._has_keys = bool(shape.id_field)
        self._makes_keys = not shape.id_field and not shape.auto_id
        self._counts = counts or {}
        self._copies: dict[bytes, int] = {}
        self._keys: dict[bytes, int] = {}

    def __call__(self, record: Record) -> Record | RowFault | None:
        """The record as it is to be written, None for a copy, or a fault."""
        if self._has_keys:
            first = self._first_of_key(record)
            if first is not None:
                return self._same_key(record, first)
        if self._rule == "keep" and not self._makes_keys:
            return record
        copy = self._copies.get(record.content, 0) + 1
        self._copies[record.content] = copy
        if self._rule == "keep":
            return record if copy == 1 else replace(record, key=hash_key(record.content, copy))
        if copy > 1:
            return None
        return record if self._rule == "drop" else self._counted(record)

    def _first_of_key(self, record: Record) -> int | None:
        """What is remembered of the row that had this key first: its number and content."""
        key = record.key if isinstance(record.key, str) else f"{record.key:d}"
        digest = hashlib.blake2b(key.encode(), digest_size=DIGEST_BYTES).digest()
        mine = record.number << _CONTENT_BITS | int.from_bytes(record.content, "big")
        first = self._keys.setdefault(digest, mine)
        return None if first == mine else first

    def _same_key(self, record: Record, first: int) -> RowFault | None:
        number, content = first >> _CONTENT_BITS, first & ((1 << _CONTENT_BITS) - 1)
        if content == int.from_bytes(record.content, "big"):
            return None
        reason = f"the key {shown(record.key)} is that of row {number:,}, whose content is another"
        return RowFault(record.number, reason, _raw(record))

    def _counted(self, record: Record) -> Record:
        number = self._counts.get(record.content, 1)
        return replace(record, fields={**record.fields, COUNT_FIELD: number})


def _raw(record: Record) -> dict[str, Any]:
    return {"key": record.key, "text": record.text, **record.fields}
