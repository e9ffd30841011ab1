"""Vectors in .npy and .npz files, with the other fields beside them.

In: a matrix ``(n, d)`` of numbers; for .npz also arrays ``(n,)``, each of them a field; for .npy
perhaps another source with one row a vector, in the same order. Out: ``SourceBatch``.
Promise: matrices are read in pieces, or mapped where they are stored column by column; Python
objects (pickles) are never loaded; counts that do not agree are told before the first row.
"""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from vdbcluster.adapters.sources.batching import BATCH_BYTES, BATCH_ROWS, rows_per_batch
from vdbcluster.adapters.sources.files import InputFile
from vdbcluster.adapters.sources.vectors import VectorReader, to_float32
from vdbcluster.errors import SourceRowError, UsageError
from vdbcluster.model.records import RowFault, SourceBatch, SourceRow
from vdbcluster.ports.records import RecordSource
from vdbcluster.records.names import listed

_format: Any = np.lib.format
_PICKLED = "holds Python objects (a pickle), which could run anything and are never loaded"
_BROKEN = (
    *(ValueError, OverflowError, EOFError, OSError, RuntimeError),
    *(SyntaxError, tokenize.TokenError),  # the header of an array is a Python literal
    *(zipfile.BadZipFile, zlib.error),
)
_VERSIONS: dict[tuple[int, int], Callable[[IO[bytes]], tuple[tuple[int, ...], bool, Any]]] = {
    (1, 0): _format.read_array_header_1_0,
    (2, 0): _format.read_array_header_2_0,
}


@contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        is_pickle = "pickle" in str(error).lower() or "Python objects" in str(error)
        reason = _PICKLED if is_pickle else f"is damaged or cut off: {error}"
        raise UsageError(f"{name} {reason}") from error


def matrix_rows(file: InputFile) -> int:
    """How many vectors a .npy file holds. Raises ``UsageError`` if it holds anything else."""
    with _matrix(file) as matrix:
        return matrix.rows


def read_matrix(file: InputFile) -> Iterator[SourceBatch]:
    """Vectors alone: the only field is ``row``, counted from 0 as in the array."""
    reader = VectorReader()
    with _matrix(file) as matrix:
        step = rows_per_batch(matrix.rows, matrix.rows * matrix.row_bytes)
        for start in range(0, matrix.rows, step):
            vectors = to_float32(matrix.take(min(step, matrix.rows - start)))
            rows = [SourceRow(start + i + 1, {"row": start + i}) for i in range(len(vectors))]
            yield joined(rows, vectors, reader)


def read_beside(file: InputFile, side: RecordSource) -> Iterator[SourceBatch]:
    """Vector i with row i of ``side``. Raises ``UsageError`` if the numbers differ."""
    reader, rows = VectorReader(), _count(side)
    with _matrix(file) as matrix:
        if rows != matrix.rows:
            raise UsageError(
                f"{file.name} holds {matrix.rows:,} vectors, but {side.description} {rows:,} "
                "rows; they must be the same rows in the same order"
            )
        start = 1
        for batch in side.batches():
            part = to_float32(matrix.take(batch.last + 1 - start))
            numbers = np.array([row.number for row in batch.rows], np.int64)
            found = joined(batch.rows, part[numbers - start], reader)
            faults = sorted((*found.faults, *batch.faults), key=lambda fault: fault.number)
            yield SourceBatch(found.rows, found.vectors, tuple(faults))
            start = batch.last + 1


def joined(
    rows: tuple[SourceRow, ...] | list[SourceRow], vectors: Any, reader: VectorReader
) -> SourceBatch:
    """Rows with their vectors; those whose vectors cannot be used become faults."""
    reasons = reader.matrix(vectors)
    if not reasons:
        return SourceBatch(tuple(rows), vectors)
    keep = [i for i in range(len(rows)) if i not in reasons]
    faults = tuple(
        RowFault(rows[i].number, why, dict(rows[i].values)) for i, why in reasons.items()
    )
    return SourceBatch(tuple(rows[i] for i in keep), vectors[keep], faults)


def _count(side: RecordSource) -> int:
    if side.total is not None:
        return side.total
    return sum(len(batch.rows) + len(batch.faults) for batch in side.batches())


@contextmanager
def _matrix(file: InputFile) -> Iterator[_Member]:
    """The file, to be read in pieces: pages of a memory map would count as ours once read."""
    with ExitStack() as stack:
        with _told(file.name):
            whole = np.load(file.path, mmap_mode="r", allow_pickle=False)
            stream = stack.enter_context(file.path.open("rb"))
            member = _Member(stream, whole)
        _check_matrix(file.name, whole.shape, whole.dtype)
        yield member


def _check_matrix(name: str, shape: tuple[int, ...], dtype: Any) -> None:
    if len(shape) != 2:
        raise UsageError(
            f"{name} has the shape {shape}; vectors are a matrix with one row each, (n, d)"
        )
    if dtype.kind not in "iuf":
        raise UsageError(f"{name} holds {dtype}, not numbers")
    if 0 in shape:
        raise UsageError(f"{name} has the shape {shape}, so it holds no vector")


@dataclass(frozen=True, slots=True)
class Archive:
    """An .npz file: which array holds the vectors, and which are fields."""

    file: InputFile
    rows: int
    vectors: str
    fields: tuple[str, ...]

    def batches(self) -> Iterator[SourceBatch]:
        """Rows made of the n-th element of every array."""
        reader = VectorReader()
        with ExitStack() as stack, _told(self.file.name):
            archive = stack.enter_context(zipfile.ZipFile(self.file.path))
            matrix = _Member(stack.enter_context(archive.open(f"{self.vectors}.npy")))
            columns = {
                name: _Member(stack.enter_context(archive.open(f"{name}.npy")))
                for name in self.fields
            }
            step = max(1, min(BATCH_ROWS, BATCH_BYTES // max(1, matrix.row_bytes)))
            for start in range(0, self.rows, step):
                number = min(step, self.rows - start)
                vectors = to_float32(matrix.take(number))
                values = {name: _plain(column.take(number)) for name, column in columns.items()}
                yield joined(_rows_of(values, start, number), vectors, reader)


def _rows_of(values: Mapping[str, list[Any]], start: int, number: int) -> list[SourceRow]:
    if not values:
        return [SourceRow(start + i + 1, {"row": start + i}) for i in range(number)]
    rows = zip(*values.values(), strict=True)
    return [
        SourceRow(start + i + 1, dict(zip(values, row, strict=True))) for i, row in enumerate(rows)
    ]


def open_archive(file: InputFile, vector_field: str) -> Archive:
    """Read the shapes of all arrays. Raises ``UsageError`` if they do not make a table."""
    with _told(file.name), zipfile.ZipFile(file.path) as archive:
        shapes = {}
        for name in archive.namelist():
            with archive.open(name) as member:
                shapes[name.removesuffix(".npy")] = _header(member)
    vectors = _vectors(file, {name: shape for name, (shape, _, _) in shapes.items()}, vector_field)
    for name, (shape, _, dtype) in shapes.items():
        if dtype.hasobject:
            raise UsageError(f"the array {name!r} of {file.name} {_PICKLED}")
        if name == vectors:
            _check_matrix(f"the array {name!r} of {file.name}", shape, dtype)
        elif len(shape) > 1 or dtype.names:
            raise UsageError(
                f"the array {name!r} of {file.name} has the shape {shape}; fields are arrays "
                f"of one value a row; leave it out, or name it with --vector-field"
            )
    rows = shapes[vectors][0][0]
    fields = tuple(name for name, (shape, _, _) in shapes.items() if len(shape) == 1)
    for name in fields:
        if shapes[name][0][0] != rows:
            raise UsageError(
                f"{file.name}: {vectors!r} holds {rows:,} vectors, but {name!r} "
                f"{shapes[name][0][0]:,} values"
            )
    return Archive(file, rows, vectors, fields)


def _vectors(file: InputFile, shapes: Mapping[str, tuple[int, ...]], wanted: str) -> str:
    if wanted:
        if wanted not in shapes:
            raise UsageError(
                f"{file.name} holds no array {wanted!r}; its arrays are: {listed(shapes)}"
            )
        return wanted
    matrices = [name for name, shape in shapes.items() if len(shape) == 2]
    if len(matrices) == 1:
        return matrices[0]
    if not matrices:
        raise UsageError(
            f"{file.name} holds no matrix of vectors; its arrays are: {listed(shapes)}"
        )
    raise UsageError(
        f"{file.name} holds several matrices ({listed(matrices)}); name one with --vector-field"
    )


class _Member:
    """An array in an archive, read from the beginning in pieces of rows."""

    def __init__(self, stream: IO[bytes], mapped: Any = None) -> None:
        self._stream = stream
        self._shape, fortran, self._dtype = _header(stream)
        self.rows = self._shape[0] if self._shape else 0
        self.row_bytes = self._dtype.itemsize * math.prod(self._shape[1:])
        self._whole: Any = None
        if fortran and len(self._shape) > 1:
            self._whole = self._all_by_columns() if mapped is None else mapped
        self._at = 0

    def take(self, rows: int) -> Any:
        if self._whole is not None:
            self._at += rows
            return self._whole[self._at - rows : self._at]
        return np.frombuffer(self._read(rows * self.row_bytes), self._dtype).reshape(
            rows, *self._shape[1:]
        )

    def _all_by_columns(self) -> Any:
        """Stored column by column: there is no row before all of it is read."""
        data = self._read(self.row_bytes * self._shape[0])
        return np.frombuffer(data, self._dtype).reshape(self._shape, order="F")

    def _read(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) != size:
            raise SourceRowError("the archive is cut off in the middle of an array")
        return data


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, Any]:
    version = _format.read_magic(stream)
    if version not in _VERSIONS:
        raise ValueError(f"version {version} of the .npy format is not known")
    return _VERSIONS[version](stream)


def _plain(column: Any) -> list[Any]:
    """Values as Python has them; dates as ISO text, bytes as text where they are."""
    if column.dtype.kind in "mM":
        return [None if text == "NaT" else text for text in column.astype(str).tolist()]
    if column.dtype.kind == "c":
        return [str(value) for value in column.tolist()]
    return list(column.tolist())
