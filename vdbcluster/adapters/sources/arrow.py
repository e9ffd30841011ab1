"""Parquet and Arrow: tables by columns.

In: a file. Out: ``SourceBatch``. Promise: some thousand rows are in memory at a time, whatever the
size of the row groups; vectors become ``float32`` without passing through Python lists; dates and
times come as ISO text (in UTC where they have a zone), durations as seconds, decimals as floats;
errors of the library are one line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vdbcluster.adapters.sources.batching import check_vector_field, rows_per_batch
from vdbcluster.adapters.sources.files import InputFile
from vdbcluster.adapters.sources.vectors import VectorReader, to_float32
from vdbcluster.errors import SourceRowError, UsageError
from vdbcluster.model.records import RowFault, SourceBatch, SourceRow
from vdbcluster.records.values import MisfitError

_MAGIC = b"ARROW1"


class _Damaged:
    """Stands for a value that is not what its type says."""


DAMAGED = _Damaged()


@contextmanager
def _told(file: InputFile, rows: list[int]) -> Iterator[None]:
    """Errors of pyarrow in one line; ``rows[0]`` is how many rows were handed on before."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        if rows[0]:
            raise SourceRowError(
                f"{file.name} cannot be read after row {rows[0]:,}: {first}"
            ) from error
        raise UsageError(f"{file.name} is damaged, cut off or encrypted: {first}") from error


def parquet_rows(file: InputFile) -> int:
    """Rows by the footer. Raises ``UsageError``."""
    with _told(file, [0]), pq.ParquetFile(file.path) as table:
        return int(table.metadata.num_rows)


def read_parquet(file: InputFile, vector_field: str) -> Iterator[SourceBatch]:
    """All rows of all row groups."""
    done = [0]
    with (
        _told(file, done),
        pq.ParquetFile(file.path, buffer_size=1 << 20, pre_buffer=False) as table,
    ):
        meta = table.metadata
        size = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
        step = rows_per_batch(meta.num_rows, size)
        yield from _batches(_sliced(table.iter_batches(batch_size=step)), vector_field, done)


def arrow_rows(file: InputFile) -> int | None:
    """Rows of an IPC file; None for a stream. Raises ``UsageError``."""
    with _told(file, [0]), pa.memory_map(str(file.path)) as mapped:
        if not _is_file(mapped):
            pa.ipc.open_stream(mapped)
            return None
        table = pa.ipc.open_file(mapped)
        count = getattr(table, "count_rows", None)  # younger than the oldest pyarrow we take
        return int(count()) if count else None


def read_arrow(file: InputFile, vector_field: str) -> Iterator[SourceBatch]:
    """All rows of an IPC file or stream; the file is mapped, not loaded."""
    done = [0]
    with _told(file, done), pa.memory_map(str(file.path)) as mapped:
        yield from _batches(_sliced(_checked(_record_batches(mapped))), vector_field, done)


def _is_file(mapped: Any) -> bool:
    found: bool = mapped.read(len(_MAGIC)) == _MAGIC
    mapped.seek(0)
    return found


def _record_batches(mapped: Any) -> Iterator[Any]:
    if not _is_file(mapped):
        yield from pa.ipc.open_stream(mapped)
        return
    table = pa.ipc.open_file(mapped)
    for place in range(table.num_record_batches):
        yield table.get_batch(place)


def _checked(batches: Iterator[Any]) -> Iterator[Any]:
    """A damaged offset or index would be read from anywhere in memory."""
    for batch in batches:
        batch.validate(full=True)
        yield batch


def _sliced(batches: Iterator[Any]) -> Iterator[Any]:
    for batch in batches:
        step = rows_per_batch(batch.num_rows, batch.nbytes)
        for start in range(0, batch.num_rows, step):
            yield batch.slice(start, step)


def _batches(tables: Iterator[Any], vector_field: str, done: list[int]) -> Iterator[SourceBatch]:
    reader = VectorReader()
    for table in tables:
        _check_columns(table, vector_field)
        if table.num_rows:
            batch = _batch(table, vector_field, done[0], reader)
            yield batch
            done[0] += table.num_rows


def _check_columns(table: Any, vector_field: str) -> None:
    names = table.schema.names
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"several columns are called {name!r}")
    if vector_field:
        check_vector_field(vector_field, [dict.fromkeys(names)])


def _batch(table: Any, vector_field: str, before: int, reader: VectorReader) -> SourceBatch:
    places = {name: i for i, name in enumerate(table.schema.names)}
    place = places.pop(vector_field, None)
    names = list(places)
    columns = [plain_column(table.column(i)) for i in places.values()]
    cells = zip(*columns, strict=True) if columns else [()] * table.num_rows
    rows = [dict(zip(names, row, strict=True)) for row in cells]
    reasons = {i: why for i, row in enumerate(rows) if (why := _damage(row))}
    vectors = None
    if place is not None:
        vectors, bad = _vectors(table.column(place), vector_field, reader)
        reasons = {**bad, **reasons}
    good = [i for i in range(len(rows)) if i not in reasons]
    return SourceBatch(
        tuple(SourceRow(before + i + 1, rows[i]) for i in good),
        None if vectors is None else np.ascontiguousarray(vectors[good]),
        tuple(RowFault(before + i + 1, reasons[i], _raw(rows[i])) for i in sorted(reasons)),
    )


def _damage(row: dict[str, Any]) -> str:
    bad = [name for name, value in row.items() if value is DAMAGED]
    return (
        f"the field {bad[0]!r} holds what its type cannot (text that is not UTF-8?)" if bad else ""
    )


def _raw(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not DAMAGED}


# ---- columns as Python values


def plain_column(column: Any) -> list[Any]:
    """The values of a column as str, int, float, bool, None, list and dict."""
    column = _simplified(column)
    try:
        values = column.to_pylist()
    except (UnicodeDecodeError, ValueError, OverflowError):
        values = [_one(scalar) for scalar in column]
    if _is_plain(column.type):
        return list(values)
    return [_plain(value) for value in values]


def _one(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except (UnicodeDecodeError, ValueError, OverflowError):
        return DAMAGED


def _is_plain(kind: Any) -> bool:
    types = pa.types
    checks = (types.is_string, types.is_large_string, types.is_integer, types.is_floating)
    return any(check(kind) for check in (*checks, types.is_boolean, types.is_null))


def _simplified(column: Any) -> Any:
    """Types that Python has no word for as others that it has."""
    if isinstance(column.type, pa.ExtensionType):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_float16(kind):
        return column.cast(pa.float32())
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", "UTC" if kind.tz else None), safe=False)
    if pa.types.is_time64(kind):
        return column.cast(pa.time64("us"), safe=False)
    return column.cast(pa.duration("us"), safe=False) if pa.types.is_duration(kind) else column


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        if value and all(isinstance(pair, tuple) for pair in value):
            return {str(_plain(key)): _plain(inner) for key, inner in value}
        return [_plain(inner) for inner in value]
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal | np.floating):
        return float(value)
    return str(value) if isinstance(value, UUID | tuple) else value


# ---- vectors


def _vectors(column: Any, name: str, reader: VectorReader) -> tuple[Any, dict[int, str]]:
    """The vectors of a column, ``(n, d) float32``, and the rows that have none that can be used."""
    column = _simplified(column)
    kind = column.type
    if _is_numbers(kind):
        return _from_lists(column, reader)
    if not _is_plain(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        raise UsageError(f"the vector field {name!r} holds {kind}, not lists of numbers")
    return _from_texts(plain_column(column), reader)


def _is_numbers(kind: Any) -> bool:
    types = pa.types
    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    if not any(check(kind) for check in lists):
        return False
    return bool(types.is_integer(kind.value_type) or types.is_floating(kind.value_type))


def _from_lists(column: Any, reader: VectorReader) -> tuple[Any, dict[int, str]]:
    lengths = pc.list_value_length(column).to_pylist()
    reasons = reader.lengths(lengths)
    good = np.array([i for i in range(len(lengths)) if i not in reasons], np.int64)
    vectors = np.ones((len(lengths), reader.dim), np.float32)
    if len(good):
        numbers = column.take(pa.array(good)).flatten().to_numpy(zero_copy_only=False)
        vectors[good] = to_float32(numbers).reshape(len(good), reader.dim)
    return vectors, {**reader.matrix(vectors), **reasons}


def _from_texts(values: Sequence[Any], reader: VectorReader) -> tuple[Any, dict[int, str]]:
    found, reasons = [], {}
    for place, value in enumerate(values):
        try:
            found.append((place, reader.vector(value)))
        except MisfitError as error:
            reasons[place] = f"the vector {error}"
    vectors = np.ones((len(values), reader.dim), np.float32)
    for place, vector in found:
        vectors[place] = vector
    return vectors, reasons
