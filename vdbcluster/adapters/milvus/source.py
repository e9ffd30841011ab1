"""Reading a collection: ``VectorSource`` over Milvus.

In: a connection and a ``Selection``. Out: pages of keys and float32 vectors, counts, texts, and
any scalar fields by page.
Promise: never writes; memory bounded by a page; every row of the selection that has a vector comes
exactly as often as the server holds it, keys ascending within each partition.

    source = MilvusSource(connection, Selection("docs", "embedding", where="year > 2000"))
    for page in source.pages(): ...
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from vdbcluster.adapters.milvus import decode
from vdbcluster.adapters.milvus.by_key import rows_by_key
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.emptiness import why_empty
from vdbcluster.adapters.milvus.expressions import (
    Key,
    both,
    every_row,
    key_between,
    key_in,
)
from vdbcluster.adapters.milvus.key_ranges import KeyRange, between, cut
from vdbcluster.adapters.milvus.profile import count_rows, identity, profile
from vdbcluster.adapters.milvus.reconcile import repeated_rows
from vdbcluster.adapters.milvus.scalars import DYNAMIC, asked, check_fields, in_order
from vdbcluster.adapters.milvus.scalars import ScalarPage as ScalarPage
from vdbcluster.adapters.milvus.selection import Selection as Selection
from vdbcluster.adapters.milvus.selection import checked_partitions, choose_vector
from vdbcluster.adapters.milvus.stream import Scan, page_rows, read_pages
from vdbcluster.model.arrays import Keys
from vdbcluster.model.collection import CollectionProfile, KeyField, VectorField
from vdbcluster.model.rows import VectorPage

PAGE_BYTES = 16 * 1024 * 1024
SEGMENT_BYTES = 512 << 20
"""What a server puts into one segment unless told otherwise. Asked for the rows above some key,
each segment reads a whole page, of which one is kept: pages cost what there are segments, and
collections the square of that. Between two keys there is less to throw away (2.3.5, 1,000,000 rows
in five segments: 46 s, and 39 s so)."""
SEGMENT_ROWS = 300_000
"""So many rows without large vectors are more than one segment while they are being written; they
are read page by page between two keys (1,000,000 labels in three segments: half the time)."""
RANGE_PAGES = 4
"""Of vectors between two keys that are read ahead."""
_INT64_MAX = 2**63 - 1
FEW = 4
"""Looking so many times fewer keys up is quicker than reading all rows of a collection."""
CUT_ROWS = 65536
"""Rows between two cuts, where keys are known (1,000,000 labels: 11.6 s by 16,384 rows, 9.8 s so;
15.6 s where keys are read first)."""
JUST_NOW = 1.0
"""Seconds for which what a strong call has made visible counts as the present."""
_SCALAR_BYTES = 64
"""Guess of a scalar field's size; a page that turns out too large is halved."""
_ROW_BYTES = 1024
"""Guess of what a row has in the dynamic field."""


def cuts_of(keys: Keys) -> Keys:
    """Some of the keys, which ascend; between two of them is what is well read in one go."""
    return keys[CUT_ROWS - 1 :: CUT_ROWS]


class MilvusSource:
    """See the module. A page's ``partition`` is ``""`` where a partition key rules."""

    def __init__(
        self, connection: MilvusConnection, selection: Selection, page_bytes: int = PAGE_BYTES
    ) -> None:
        """Raises ``UsageError`` for an unknown collection, vector field or partition."""
        self._connection = connection
        self._page_bytes = page_bytes
        self._caught_up, self._counted = -math.inf, 0
        self._profile = profile(connection, selection.collection, exact=False)
        self._vector = choose_vector(self._profile, selection.vector_field)
        self.selection = replace(
            selection,
            collection=self._profile.name,
            vector_field=self._vector.name,
            partitions=checked_partitions(self._profile, selection.partitions),
        )

    @property
    def vector(self) -> VectorField:
        """The vector field that is read."""
        return self._vector

    @property
    def page_bytes(self) -> int:
        """About what a page takes."""
        return self._page_bytes

    @property
    def key(self) -> KeyField:
        """The primary key."""
        return self._profile.key

    @property
    def found(self) -> CollectionProfile:
        """What the collection was when this source was made; ``rows`` may lag."""
        return self._profile

    def identity(self) -> str:
        """See ``CollectionProfile.identity``, at the cost of one call."""
        return identity(self._connection, self.selection.collection)

    def profile(self) -> CollectionProfile:
        """What the collection is now; see ``profile.profile``."""
        return profile(self._connection, self.selection.collection)

    def load(self) -> None:
        """Load the collection into the server's memory and wait until it is there."""
        name = self.selection.collection
        self._connection.ask(
            f"loading {name!r}",
            lambda client, limit: client.load_collection(name, timeout=limit),
        )

    def count(self) -> int:
        """Rows in the selection by the server's own strong count, duplicate keys counted."""
        chosen = self.selection
        where = chosen.where
        if chosen.partitions and not where:  # Lite overlooks partitions where there is no filter
            where = every_row(self._profile.key)
        asked = time.monotonic()
        rows = count_rows(self._connection, chosen.collection, where, chosen.partitions)
        self._caught_up, self._counted = asked, rows
        return rows

    def hidden_rows(self) -> int:
        """Rows that the server counts but gives to nobody: those with the largest INT64 as key.

        Servers take that number for "none left" when they merge results (seen on 2.3.5), so
        ``pages`` cannot have them and falls short of ``count`` by as many.
        """
        if self._connection.is_lite or self._profile.key.type != "INT64":
            return 0
        name, chosen = self._profile.key.name, self.selection
        where = both(key_in(name, [_INT64_MAX]), chosen.where)
        counted = count_rows(self._connection, chosen.collection, where, chosen.partitions)
        return counted - len(self._lookup(np.array([_INT64_MAX]), name)) if counted else 0

    def why_empty(self) -> str:
        """For when ``count`` is 0: why no row is selected; empty if the collection has none."""
        chosen = self.selection
        return why_empty(self._connection, self._profile, chosen.where, chosen.partitions)

    def repeated_rows(self) -> int:
        """Rows that the server counts but hides behind another row with the same key.

        Reads all keys again and counts by ranges of them, so it is meant for when ``pages`` fell
        short of ``count``. Lite keeps one row for each key.
        """
        if self._connection.is_lite:
            return 0
        return sum(
            repeated_rows(partial(self._count_range, partition), page.tolist())
            for partition, rows in self._scan((), 16)
            for page in [decode.keys_of(rows, self._profile.key)]
        )

    def _count_range(self, partition: str, first: Key, last: Key) -> int:
        chosen = self.selection
        where = both(key_between(self._profile.key.name, first, last), chosen.where)
        places = (partition,) if partition else ()
        return count_rows(self._connection, chosen.collection, where, places, strong=False)

    def pages(self) -> Iterator[VectorPage]:
        """All rows with a vector, partition by partition, keys ascending within each."""
        size = self._vector_bytes
        self._catch_up()
        ahead = RANGE_PAGES * page_rows(size, self._page_bytes)
        parts = self._ranges(ahead) if self._many_segments() else self._whole()
        for partition, rows in self._read(parts, (self._vector.name,), size):
            yield self._vector_page(rows, partition)

    @property
    def _vector_bytes(self) -> int:
        """Of a row with its vector, in an answer."""
        return decode.bytes_per_vector(self._vector) + 16

    def _many_segments(self, most_rows: float = math.inf) -> bool:
        """``most_rows``: of what one segment is thought to have, whatever their size."""
        rows = max(self._profile.rows, self._counted)  # the first lags behind what is written
        large = rows * self._vector_bytes > SEGMENT_BYTES or rows > most_rows
        return large and not self._connection.is_lite

    def _whole(self) -> Iterator[KeyRange]:
        return map(KeyRange, self._partitions())

    def ranges(self, rows: int) -> Iterator[KeyRange]:
        """All there is in ranges of about ``rows`` keys, which come as keys are read."""
        self._catch_up()
        yield from self._ranges(rows)

    def _ranges(self, rows: int) -> Iterator[KeyRange]:
        for partition in self._partitions():
            yield from cut(partition, self._keys(partition), rows)

    def part(self, where: str, partition: str) -> Iterator[VectorPage]:
        """Those pages of a partition whose rows also satisfy ``where``."""
        self._catch_up()
        fields = (self._vector.name,)
        for rows in self._scan_partition(partition, fields, self._vector_bytes, where):
            yield self._vector_page(rows, partition)

    def rows(self, fields: Sequence[str], row_bytes: int) -> Iterator[list[Any]]:
        """All rows with these output fields, page by page as the client gives them.

        ``row_bytes``: what a row is expected to take in an answer.
        """
        for _, page in self._scan(tuple(fields), row_bytes):
            yield page

    def _vector_page(self, rows: list[Any], partition: str) -> VectorPage:
        keys = decode.keys_of(rows, self._profile.key)
        vectors, present = decode.vectors_of(rows, self._vector)
        absent = len(keys) - int(present.sum())
        if absent:
            keys, vectors = keys[present], vectors[present]
        return VectorPage(keys, vectors, partition, absent)

    def scalars(
        self, fields: Sequence[str], keys: Keys | None = None, cuts: Keys | None = None
    ) -> Iterator[ScalarPage]:
        """Values of scalar or dynamic fields of all rows, in the order of ``pages``.

        With ``keys`` of these rows, in any order and without their partition, if they are few; of
        all rows else, which is quicker. ``cuts``: see ``cuts_of``; rows of many segments then need
        not be read once for their keys alone, and come by key, without their partition. Raises
        ``UsageError`` for a name that is no field where there are no dynamic ones.
        """
        check_fields(self._profile, fields)
        size = 16 + _SCALAR_BYTES * len(fields)
        if keys is None or len(keys) * FEW > self._profile.rows:
            found = self._scan(asked(self._profile, fields), size, cuts)
        else:
            self._catch_up()
            names = asked(self._profile, fields)
            found = (("", page) for page in self._by_key(keys, names, size))
        for partition, rows in found:
            told = decode.told(rows)
            values = {name: [row.get(name) for row in told] for name in fields}
            yield ScalarPage(decode.keys_of(rows, self._profile.key), values, partition)

    def vectors(self, keys: Keys, partition: str = "") -> Iterator[VectorPage]:
        """The rows among ``keys`` that are selected and have a vector, in any order.

        ``partition``: where to look; empty for all that are chosen.
        """
        fields = (self._vector.name,)
        for rows in self._by_key(keys, fields, self._vector_bytes, partition):
            yield self._vector_page(rows, partition)

    def _by_key(
        self, keys: Keys, fields: Sequence[str], size: int, partition: str = ""
    ) -> Iterator[list[Any]]:
        within = (partition,) if partition else self.selection.partitions
        chosen = replace(self.selection, partitions=within)
        key = self._profile.key
        return rows_by_key(self._connection, chosen, key, keys, fields, row_bytes=size)

    def texts(self, keys: Keys, field: str) -> list[str | None]:
        """The value of a field for some keys, in their order; None where a row has none.

        Values that are not text are written as text. Where a key occurs twice, either may answer.
        """
        check_fields(self._profile, (field,))
        found = self._lookup(keys, field)
        values = [found.get(key) for key in keys.tolist()]
        return [value if value is None else str(value) for value in values]

    def columns(self, keys: Keys, fields: Sequence[str]) -> dict[str, list[object]]:
        """Plain values of scalar or dynamic fields, in the order of ``keys``; see ``scalars``.

        None where a row has none, is gone or is not selected. Where a key occurs twice, either may
        answer.
        """
        check_fields(self._profile, fields)
        pages = self.scalars(fields, keys) if fields and len(keys) else iter(())
        return in_order(pages, keys, fields)

    def dynamic_fields(self, keys: Keys) -> tuple[str, ...]:
        """Names that rows with these keys have in the dynamic field; values are read as well."""
        if not self._profile.dynamic:
            return ()
        pages = self._by_key(keys, (DYNAMIC,), _ROW_BYTES)
        names = {name for rows in pages for row in rows for name in row}
        return tuple(sorted(names - {self._profile.key.name}))

    def _keys(self, partition: str) -> Iterator[Keys]:
        """The keys of all rows, vector or not, page by page."""
        pages = self._scan_partition(partition, (), 16)
        return (decode.keys_of(page, self._profile.key) for page in pages)

    def _scan(
        self, fields: tuple[str, ...], size: int, cuts: Keys | None = None
    ) -> Iterator[tuple[str, list[Any]]]:
        self._catch_up()
        if not self._many_segments(SEGMENT_ROWS):
            parts = self._whole()
        elif cuts is not None:
            places = self.selection.partitions or ("",)
            parts = chain.from_iterable(between(place, cuts) for place in places)
        else:
            parts = self._ranges(page_rows(size, self._page_bytes)) if fields else self._whole()
        return self._read(parts, fields, size)

    def _read(
        self, parts: Iterator[KeyRange], fields: tuple[str, ...], size: int
    ) -> Iterator[tuple[str, list[Any]]]:
        for part in parts:
            where = part.where(self._profile.key)
            for page in self._scan_partition(part.partition, fields, size, where):
                yield part.partition, page

    def _scan_partition(
        self, partition: str, fields: tuple[str, ...], size: int, within: str = ""
    ) -> Iterator[list[Any]]:
        name, found = self.selection.collection, self._profile
        where = both(within, self.selection.where)
        scan = Scan(name, found.identity, found.key, fields, where, partition)
        return read_pages(self._connection, scan, page_rows(size, self._page_bytes))

    def _catch_up(self) -> None:
        """Have everything that was written before be seen by what is read now.

        Rows are read at the collection's own consistency, which may lag by seconds, until one
        strong call was answered.
        """
        if time.monotonic() - self._caught_up > JUST_NOW:
            self._counted = count_rows(self._connection, self.selection.collection)

    def _partitions(self) -> tuple[str, ...]:
        if self._profile.partition_key is not None:
            return ("",)
        return self.selection.partitions or self._profile.partitions

    def _lookup(self, keys: Keys, field: str) -> dict[Any, Any]:
        """The field of the rows in the chosen partitions, whether the filter selects them or not.

        Where texts are too long for one message they come in several.
        """
        name, chosen = self._profile.key.name, replace(self.selection, where="")
        names = asked(self._profile, (field,))
        pages = rows_by_key(self._connection, chosen, self._profile.key, keys, names)
        return {row[name]: row.get(field) for rows in pages for row in rows}
