"""Rows as a file: Parquet, CSV or lines of JSON.

In: a ``TableShape``, batches of rows. Out: a file. Promise: it is there as a whole or not at all;
memory of a batch; what can be read back from it is what was in the rows.

    with_ending = TablePlace.of(Path("rows.csv.gz"))
    written = table_file(with_ending).write(shape, batches)

Parquet: numbers, truth values and texts of their own types, scores and vectors as float32 (vectors
as lists of fixed size), arrays as lists, JSON as text. CSV (UTF-8, a header, commas, every text in
quotation marks, so that an empty text differs from none): arrays and JSON as JSON. Lines of JSON:
an object a row, JSON and arrays as they are; a dynamic field is there only in rows that have it;
numbers of 64 bits are written in full, which readers that know only doubles round beyond 2^53; what
JSON has no number for (NaN, infinity) is null.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal, cast

import numpy as np

from vdbcluster.adapters.replacing import replacing
from vdbcluster.errors import VdbclusterError
from vdbcluster.model.tables import Column, RowBatch, TableShape, Written
from vdbcluster.ports.tables import TableFile
from vdbcluster.records.columns import Kinds

Form = Literal["parquet", "csv", "jsonl"]
FORMS: tuple[Form, ...] = ("parquet", "csv", "jsonl")
BOM = b"\xef\xbb\xbf"
"""Spreadsheets take a file for UTF-8 only by this."""
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001
"""The full-width ones too, which spreadsheets of East Asia read as the others."""


@dataclass(frozen=True, slots=True)
class TablePlace:
    """``path`` None: the stream ``stdout``. ``packed``: with gzip. ``spreadsheet``: see ``csv``."""

    path: Path | None
    form: Form
    packed: bool = False
    spreadsheet: bool = False
    stdout: IO[bytes] | None = None

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """``VdbclusterError`` where it cannot be written."""
        if self.path is None:
            assert self.stdout is not None
            yield self.stdout
            self.stdout.flush()
            return
        try:
            with replacing(self.path) as file:
                if self.packed:
                    with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                        yield cast("IO[bytes]", packed)
                else:
                    yield file
        except OSError as error:
            raise VdbclusterError(f"{self.path} cannot be written: {error.strerror}") from error


def table_file(place: TablePlace) -> TableFile:
    """The writer of that form."""
    return JsonLines(place) if place.form == "jsonl" else ArrowTable(place)


class JsonLines:
    """See the module and ``ports.tables.TableFile``."""

    passes = 1

    def __init__(self, place: TablePlace) -> None:
        self._place = place

    def write(self, shape: TableShape, batches: Iterable[RowBatch]) -> Written:
        """See the port."""
        rows = 0
        with self._place.opened() as file:
            for batch in batches:
                text = "".join(f"{_json(row)}\n" for row in _objects(shape, batch))
                file.write(text.encode("utf-8", "backslashreplace"))
                rows += len(batch)
        return Written(rows)


class ArrowTable:
    """Parquet and CSV, whose columns must be known before the first row is written."""

    passes = 2

    def __init__(self, place: TablePlace) -> None:
        self._place = place

    def write(self, shape: TableShape, batches: Iterable[RowBatch]) -> Written:
        """See the port."""
        import pyarrow as pa

        columns = _all_columns(shape, batches)
        if self._place.form == "csv":
            columns = tuple(map(_as_text, columns))
        guard = _Guard(escape=self._place.spreadsheet)
        schema = pa.schema([(guard.text(c.name), _arrow_type(c)) for c in columns])
        rows = 0
        with self._place.opened() as file, self._writer(file, schema) as writer:
            for batch in batches:
                arrays = [_array(column, self._values(column, batch, guard)) for column in columns]
                writer.write_batch(pa.record_batch(arrays, schema=schema))
                rows += len(batch)
        return Written(rows, guard.seen, tuple(schema.names))

    def _values(self, column: Column, batch: RowBatch, guard: _Guard) -> Sequence[Any]:
        values = _values(column.name, batch)
        if column.kind == "JSON":
            values = [None if value is None else _json(value) for value in values]
        if self._place.form == "csv" and column.kind in ("TEXT", "JSON"):
            values = [None if value is None else guard.text(value) for value in values]
        return values

    @contextmanager
    def _writer(self, file: IO[bytes], schema: Any) -> Iterator[Any]:
        if self._place.form == "csv":
            from pyarrow import csv

            if self._place.spreadsheet:
                file.write(BOM)
            with csv.CSVWriter(file, schema) as writer:
                yield writer
        else:
            from pyarrow import parquet

            with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
                yield writer


class _Guard:
    """Counts texts that a spreadsheet would run, and puts an apostrophe before them if asked."""

    def __init__(self, *, escape: bool) -> None:
        self._escape = escape
        self.seen = 0

    def text(self, text: str) -> str:
        if not text.startswith(FORMULA):
            return text
        self.seen += 1
        return f"'{text}" if self._escape else text


def _all_columns(shape: TableShape, batches: Iterable[RowBatch]) -> tuple[Column, ...]:
    """Those that are known, without the ones that no row needs, and those that rows bring."""
    known = (*shape.head, *shape.tail)
    asked = {c.name: Kinds() for c in known if c.kind is None or not c.always}
    brought: dict[str, Kinds] = {}
    for batch in batches:
        for name, kinds in asked.items():
            for value in batch.columns.get(name, ()):
                kinds.see(value)
        for row in batch.rest:
            for name, value in row.items():
                brought.setdefault(name, Kinds()).see(value)

    def told(columns: Sequence[Column]) -> Iterator[Column]:
        for column in columns:
            kinds = asked.get(column.name)
            if kinds is None:
                yield column
            elif column.always or not kinds.empty:
                yield column if column.kind else kinds.column(column.name)

    rest = (brought[name].column(name) for name in sorted(brought))
    return (*told(shape.head), *rest, *told(shape.tail))


def _values(name: str, batch: RowBatch) -> Sequence[Any]:
    if name in batch.columns:
        return batch.columns[name]
    return [row.get(name) for row in batch.rest]


def _as_text(column: Column) -> Column:
    """A cell of CSV holds one value."""
    listed = column.many or column.kind in ("VECTOR", "NEAR")
    return replace(column, kind="JSON", many=False) if listed else column


def _arrow_type(column: Column) -> Any:
    import pyarrow as pa

    plain: dict[str | None, Callable[[], Any]] = {
        "BOOL": pa.bool_,
        "INT8": pa.int8,
        "INT16": pa.int16,
        "INT32": pa.int32,
        "INT64": pa.int64,
        "FLOAT": pa.float32,
        "DOUBLE": pa.float64,
        "TEXT": pa.string,
        "JSON": pa.string,
    }
    if column.kind == "VECTOR":
        return pa.list_(pa.float32(), column.dim)
    if column.kind == "NEAR":
        return pa.struct({"ids": pa.list_(pa.int64()), "distances": pa.list_(pa.float32())})
    inner = plain[column.kind]()
    return pa.list_(inner) if column.many else inner


def _array(column: Column, values: Sequence[Any]) -> Any:
    import pyarrow as pa

    wanted = _arrow_type(column)
    if column.kind == "NEAR":
        values = [v and {"ids": v[0], "distances": v[1]} for v in values]
    try:
        return pa.array(values, wanted)
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can hold
        return pa.array([_whole(value) for value in values], wanted)


def _whole(value: Any) -> Any:
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _objects(shape: TableShape, batch: RowBatch) -> Iterator[dict[str, Any]]:
    head = [(c, _plain(c, batch)) for c in shape.head]
    tail = [(c, _plain(c, batch)) for c in shape.tail]
    for i, rest in enumerate(batch.rest):
        row = {c.name: values[i] for c, values in head if c.always or values[i] is not None}
        row |= rest
        yield row | {c.name: values[i] for c, values in tail if c.always or values[i] is not None}


def _plain(column: Column, batch: RowBatch) -> Sequence[Any]:
    """Numbers of 32 bits in as few digits as tell them apart."""
    values = _values(column.name, batch)
    if column.kind != "FLOAT":
        return values
    return [None if value is None else float(str(np.float32(value))) for value in values]


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
