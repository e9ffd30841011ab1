"""Very large sets by the server's bulk import: files first, then one call.

In: records, a folder, where the server finds that folder. Out: Parquet files, and, if the server
can reach them, their rows in the collection. Promise: only into an empty collection, because an
import adds rows and replaces none; every row that was given is counted in the files before they are
imported, and in the collection after that; a run that was broken off begins anew. Needs the extra
``bulk`` (the client's own bulk writer, which wants the packages of the object stores even for local
files).

A server imports from its own object store. ``ImportSettings.prefix`` says under which path there it
sees ``folder`` (a mounted folder, or one that is copied there); without it the files are written,
and ``notes`` say what is left to do.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.errors import quiet, translated
from vdbcluster.adapters.milvus.ingest.importing import import_files
from vdbcluster.adapters.milvus.ingest.payload import entities
from vdbcluster.adapters.milvus.ingest.rows import blank, make_rows
from vdbcluster.adapters.milvus.ingest.writer import MilvusRecordWriter
from vdbcluster.errors import BackendError, UsageError
from vdbcluster.model.arrays import BoolArray, Float32Array
from vdbcluster.model.records import Record, RecordBatch, RecordShape

IMPORT_SECONDS = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class ImportSettings:
    """``prefix``: where the server's object store has ``folder``; empty: no import is asked for.

    ``file_bytes``: of rows in one file, about.
    """

    folder: Path
    prefix: str = ""
    file_bytes: int = 256 << 20
    seconds: float = IMPORT_SECONDS


class BulkRecordWriter:
    """``ports.RecordWriter`` by files; see the module. ``files``: those that are complete."""

    def __init__(
        self, milvus: MilvusConnection, writer: MilvusRecordWriter, settings: ImportSettings
    ) -> None:
        self._milvus = milvus
        self._writer = writer
        self._settings = settings
        self._files: Any = None
        self._rows = 0
        self._began = time.time_ns()
        self._done: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self._writer.notes, *self._done)

    @property
    def files(self) -> tuple[Path, ...]:
        found = [] if self._files is None else self._files.batch_files
        return tuple(Path(path) for batch in found for path in batch)

    def fit(self, shape: RecordShape) -> RecordShape:
        """See ``ports.RecordWriter``."""
        return self._writer.fit(shape)

    def prepare(self, dim: int) -> None:
        """See ``ports.RecordWriter``. Raises ``UsageError`` for a collection that has rows."""
        if self._milvus.is_lite and self._settings.prefix:
            raise UsageError("Milvus Lite has no bulk import; use --write-way upsert")
        self._writer.prepare(dim)
        if self._writer.count():
            raise UsageError(
                "a bulk import adds rows and replaces none, and the collection has some already; "
                "use --write-way upsert, or name another collection"
            )
        self._files = self._open()

    @property
    def identity(self) -> str:
        """Another one for each run: what an earlier run has left in files is not taken up."""
        return f"files since {self._began}"

    def count(self) -> int:
        """See ``ports.RecordWriter``: rows that are imported."""
        return self._writer.count()

    def unchanged(
        self, records: Sequence[Record], vectors: Float32Array | None = None
    ) -> BoolArray:
        """None: the collection is empty."""
        del vectors
        return np.zeros(len(records), np.bool_)

    def misfits(self, records: Sequence[Record]) -> dict[int, str]:
        """See ``ports.RecordWriter``."""
        return self._writer.misfits(records)

    def write(self, batch: RecordBatch) -> None:
        """Put rows into the file that is being written."""
        filling = self._writer.filling
        rows = [blank(row, filling) for row in make_rows(batch.records, filling)]
        with translated("writing files for the bulk import"):
            for entity in entities(rows, batch.vectors, filling):
                self._files.append_row(entity)
        self._rows += len(rows)

    def finish(self) -> int:
        """Complete the files and have them imported; the number of rows that are there then.

        Without ``prefix`` it is the number of rows in the files.
        """
        with translated("writing files for the bulk import"):
            self._files.commit()
        held = sum(_rows_in(path) for path in self.files)
        if held != self._rows:
            raise BackendError(
                f"{held:,} of {self._rows:,} rows are in the files under {self._settings.folder}; "
                "see that there is room on the disk, then run again"
            )
        if not self._settings.prefix:
            self._done = (
                f"{self._rows:,} rows are in {len(self.files)} files under "
                f"{self._files.data_path}: copy them to the server's object store and import them",
            )
            return self._rows
        folder, prefix = self._settings.folder, self._settings.prefix.rstrip("/")
        files = [f"{prefix}/{path.relative_to(folder)}" for path in self.files]
        import_files(self._milvus, self._writer.collection, files, self._settings.seconds)
        stored = self._writer.finish()
        if stored != self._rows:
            raise BackendError(
                f"{stored:,} rows are in the collection after the import of {self._rows:,}; "
                "somebody else writes to it, or the import was done twice: drop it and run again"
            )
        return stored

    def _open(self) -> Any:
        # Its import would send the logs of everything to the screen, unless somebody has them.
        if not logging.getLogger().handlers:
            logging.getLogger().addHandler(logging.NullHandler())
        try:
            from pymilvus import CollectionSchema
            from pymilvus.bulk_writer import BulkFileType, LocalBulkWriter
        except ModuleNotFoundError as error:
            raise UsageError(
                f"bulk import needs more packages ({error.name or 'pymilvus.bulk_writer'}); "
                "install them with: pip install 'vdbcluster[bulk]'"
            ) from error
        quiet()
        self._settings.folder.mkdir(parents=True, exist_ok=True)
        return LocalBulkWriter(
            schema=CollectionSchema.construct_from_dict(dict(self._writer.described)),
            local_path=str(self._settings.folder),
            chunk_size=self._settings.file_bytes,
            file_type=BulkFileType.PARQUET,
        )


def _rows_in(path: Path) -> int:
    from pyarrow import parquet

    return int(parquet.read_metadata(path).num_rows)
