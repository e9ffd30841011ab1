"""A path becomes a source of rows.

    source = open_source("news.csv", settings.source)
    for batch in source.batches(): ...

In: a file, a folder or "-", ``SourceSettings``. Out: a ``RecordSource``.
Promise: what is wrong with the whole (absent, empty, another kind) is told here, in one line,
before any row is read; each call of ``batches`` begins anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vdbcluster.adapters.sources import arrow, lines, numpy_files
from vdbcluster.adapters.sources.batching import Parsed, Unreadable, batched
from vdbcluster.adapters.sources.delimited import dialect, read_delimited
from vdbcluster.adapters.sources.files import (
    STDIN,
    InputFile,
    check_encoding,
    decoded_head,
    input_file,
    spooled,
)
from vdbcluster.adapters.sources.jsons import read_json, read_json_lines
from vdbcluster.adapters.sources.kinds import NAMES, Format, kind_of
from vdbcluster.config.ingest import SourceSettings
from vdbcluster.errors import UsageError
from vdbcluster.model.records import SourceBatch
from vdbcluster.ports.records import RecordSource


@dataclass(frozen=True, slots=True)
class FileSource:
    """A ``RecordSource`` made of what is known about a file and how to read it."""

    description: str
    typed: bool
    total: int | None
    mark: Callable[[], str]
    read: Callable[[], Iterator[SourceBatch]]

    def fingerprint(self) -> str:
        return self.mark()

    def batches(self) -> Iterator[SourceBatch]:
        rows = 0
        for batch in self.read():
            rows += len(batch.rows) + len(batch.faults)
            yield batch
        if not rows:
            raise UsageError(f"{self.description} holds no row")


_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def open_source(
    path: str | Path,
    settings: SourceSettings,
    stdin: BinaryIO | None = None,
    ours: Collection[Path] = (),
) -> RecordSource:
    """The rows at ``path``; ``-`` is standard input, or ``stdin`` in its place.

    ``ours``: files and folders that a folder of texts is read without. Raises ``UsageError`` where
    there is nothing that could be read.
    """
    check_encoding(settings.encoding)
    _check_path(str(path))
    if str(path) == STDIN:
        return _of_file(spooled(stdin), settings)
    place = Path(path)
    if place.is_dir():
        return _of_folder(place, settings, ours)
    return _of_file(input_file(place), settings)


def _check_path(path: str) -> None:
    if not path:  # a variable that is not set, mostly; it would mean this folder
        raise UsageError("the source is empty; name a file, a folder, or - for standard input")
    if _URL.match(path):
        raise UsageError("the source is an address on the net; download it and name the file")


def _of_folder(folder: Path, settings: SourceSettings, ours: Collection[Path]) -> RecordSource:
    if settings.format not in ("auto", "text"):
        raise UsageError(f"{folder} is a folder of texts; name one file for --format")
    _no_side_file(folder, settings)
    paths = lines.listing(folder, ours)
    return FileSource(
        description=f"{folder} (a folder of {len(paths):,} files)",
        typed=True,
        total=len(paths),
        mark=lambda: lines.fingerprint(folder, lines.listing(folder, ours)),
        read=lambda: batched(
            lines.read_folder(folder, paths, settings.encoding), settings.vector_field
        ),
    )


def _of_file(file: InputFile, settings: SourceSettings) -> RecordSource:
    text = decoded_head(file, settings.encoding)
    kind = kind_of(file.name, file.head(), text, settings.format, gzipped=file.gzipped)
    if kind == "npy":
        return _of_matrix(file, settings)
    _no_side_file(file.path, settings)
    description = f"{file.name} ({NAMES[kind]})"
    if kind in ("parquet", "arrow", "npz"):
        total, read = _table(kind, file, settings)
        return FileSource(description, True, total, file.fingerprint, read)
    return FileSource(
        description,
        kind not in ("csv", "tsv"),
        None,
        file.fingerprint,
        lambda: batched(_rows(kind, file, settings), settings.vector_field),
    )


def _rows(kind: Format, file: InputFile, settings: SourceSettings) -> Iterator[Parsed | Unreadable]:
    if kind in ("csv", "tsv"):
        sign = "," if kind == "csv" else "\t"
        return read_delimited(file, dialect(settings.delimiter, sign, settings.encoding))
    read = {"json": read_json, "jsonl": read_json_lines, "text": lines.read_lines}[kind]
    return read(file, settings.encoding)


def _table(
    kind: Format, file: InputFile, settings: SourceSettings
) -> tuple[int | None, Callable[[], Iterator[SourceBatch]]]:
    name = settings.vector_field
    if kind == "parquet":
        return arrow.parquet_rows(file), lambda: arrow.read_parquet(file, name)
    if kind == "arrow":
        return arrow.arrow_rows(file), lambda: arrow.read_arrow(file, name)
    archive = numpy_files.open_archive(file, name)
    return archive.rows, archive.batches


def _of_matrix(file: InputFile, settings: SourceSettings) -> RecordSource:
    rows = numpy_files.matrix_rows(file)
    if settings.side_file is None:
        return FileSource(
            f"{file.name} (vectors alone)",
            True,
            rows,
            file.fingerprint,
            lambda: numpy_files.read_matrix(file),
        )
    plain = settings.model_copy(update={"side_file": None, "vector_field": "", "format": "auto"})
    side = open_source(settings.side_file, plain)
    return FileSource(
        f"{file.name} (vectors) with {side.description}",
        side.typed,
        rows,
        lambda: f"{file.fingerprint()}+{side.fingerprint()}",
        lambda: numpy_files.read_beside(file, side),
    )


def _no_side_file(path: Path, settings: SourceSettings) -> None:
    if settings.side_file is not None:
        raise UsageError(f"--side-file goes with vectors in a .npy file; {path} is none")
