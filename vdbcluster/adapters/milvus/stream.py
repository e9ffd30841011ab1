"""Pages of a partition in order of key, complete whatever the keys are.

In: a ``Scan`` (collection, key, fields to read, filter, partition) and how many rows a page has.
Out: pages of rows, keys ascending, none lost and none twice.
Promise: one page in memory; a page that is too large for the server is halved and read again; a
collection that is dropped or created anew in mid-stream raises ``CollectionChangedError`` before
any foreign row is handed out.

``query_iterator`` does the paging. It is opened anew behind our own escaped key range where its
cursor would break: it pastes the last key into the expression as it is, which fails for a string
with a quote, backslash or control character, and for the smallest INT64 on old servers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.decode import key_at
from vdbcluster.adapters.milvus.errors import backend_errors, is_retriable, is_too_large, translate
from vdbcluster.adapters.milvus.expressions import INT64_MIN, Key, both, key_after
from vdbcluster.adapters.milvus.profile import identity
from vdbcluster.errors import CollectionChangedError
from vdbcluster.model.collection import KeyField

MAX_ROWS = 16384
"""The server's limit of a page."""

_UNSAFE = re.compile(r"[\"\\\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Scan:
    """What to read. ``partition`` ``""`` lets the server choose (all, or by partition key)."""

    collection: str
    identity: str
    key: KeyField
    fields: tuple[str, ...]
    where: str = ""
    partition: str = ""

    @property
    def doing(self) -> str:
        place = f", partition {self.partition!r}" if self.partition else ""
        return f"reading {self.collection!r}{place}"


def page_rows(bytes_per_row: int, page_bytes: int) -> int:
    """Rows of a page of about ``page_bytes``, at least one and at most the server's limit."""
    return max(1, min(MAX_ROWS, page_bytes // max(1, bytes_per_row)))


def read_pages(connection: MilvusConnection, scan: Scan, rows: int) -> Iterator[list[Any]]:
    """Pages of at most ``rows`` rows (dictionaries, vectors not yet decoded) by ascending key.

    Only an empty page is the end: servers cut pages short. Raises ``BackendError`` and its kinds.
    """
    pager = _Pager(connection, scan, rows)
    while page := pager.next():
        _check(connection, scan)
        yield page
    _check(connection, scan)


def _check(connection: MilvusConnection, scan: Scan) -> None:
    if identity(connection, scan.collection) != scan.identity:
        raise CollectionChangedError(
            f"{scan.doing}: the collection was dropped and created anew meanwhile; run again"
        )


class _Pager:
    def __init__(self, connection: MilvusConnection, scan: Scan, rows: int) -> None:
        self._connection = connection
        self._scan = scan
        self._rows = rows
        self._last: Key | None = None
        self._iterator: _Iterator | None = None

    def next(self) -> list[Any]:
        """The next page; empty at the end."""
        while True:
            try:
                page = self._connection.raw(self._read)
            except backend_errors() as error:
                self._halve(error)
            else:
                self._remember(page)
                return page

    def _read(self, client: Any, limit: float) -> list[Any]:
        if self._iterator is None:
            where = self._scan.where
            if self._last is not None:
                where = both(key_after(self._scan.key.name, self._last), where)
            self._iterator = _Iterator(client, limit, self._scan, where, self._rows)
        return self._iterator.next()

    def _halve(self, error: Exception) -> None:
        """Go on behind the last row with half the page, if that was the trouble and can be."""
        if not is_too_large(error) or self._rows == 1:
            if not is_retriable(error):
                _check(self._connection, self._scan)
            raise translate(error, self._scan.doing) from error
        self._rows //= 2
        self._iterator = None

    def _remember(self, page: list[Any]) -> None:
        if not page:
            return
        last = key_at(page, len(page) - 1, self._scan.key)
        self._last = last
        if _UNSAFE.search(last) if isinstance(last, str) else last == INT64_MIN:
            self._iterator = None


class _Iterator:
    """``query_iterator``, whose pages keep their vectors undecoded where that can be had.

    The client's iterator slices each answer, and slicing decodes every vector into Python lists.
    So its handler is wrapped to hand it the keys alone, and the answer is kept for us. That leans
    on a private attribute; without it the pages are plain lists of decoded rows.
    """

    def __init__(self, client: Any, limit: float, scan: Scan, where: str, rows: int) -> None:
        self._iterator = client.query_iterator(
            scan.collection,
            batch_size=rows,
            filter=where,
            output_fields=[scan.key.name, *scan.fields],
            partition_names=[scan.partition] if scan.partition else None,
            timeout=limit,
            strict_float32=True,
        )
        handler = getattr(self._iterator, "_handler", None)
        self._answers = _Answers(handler, scan.key.name, rows) if handler else None
        if self._answers:
            self._iterator._handler = self._answers

    def next(self) -> list[Any]:
        page: list[Any] = self._iterator.next()
        if not page or self._answers is None or self._answers.last is None:
            return page
        answer, self._answers.last = self._answers.last, None
        return answer


class _Answers:
    """Stands between the client's iterator and its handler; keeps the last answer."""

    def __init__(self, handler: Any, key: str, rows: int) -> None:
        self._handler = handler
        self._key = key
        self._rows = rows
        self.last: list[Any] | None = None

    def query(self, **request: Any) -> list[Any]:
        answer = self._handler.query(**request)
        self.last = answer if 0 < len(answer) <= self._rows else None
        if self.last is None:
            return list(answer)
        return [{self._key: list.__getitem__(answer, i)[self._key]} for i in range(len(answer))]
