"""The files beside an ingest: its checkpoint, and the rows that were put aside.

    <folder>/<source>.checkpoint.json   how far it has come
    <folder>/<source>.quarantine.jsonl  one bad row a line: row, reason, raw

Promise: the checkpoint is replaced as a whole or not at all; a quarantined row is on the disk
before the checkpoint that counts it; a line cut off by a crash is dropped by the next run; two
processes never write the same files, if they ``hold`` them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from vdbcluster.adapters.lock import locked
from vdbcluster.adapters.replacing import replacing
from vdbcluster.errors import RefusedError, UsageError, VdbclusterError
from vdbcluster.model.records import RowFault
from vdbcluster.ports.records import Checkpoint
from vdbcluster.records.values import sayable

VERSION = 1


class IngestFiles:
    """``IngestLog`` on a file system; one folder a collection, one pair of files a source."""

    def __init__(self, folder: Path, source: str) -> None:
        stem = f"{_plain(source)}-{hashlib.sha256(os.fsencode(source)).hexdigest()[:8]}"
        self._folder = folder
        self._stem = stem
        self.checkpoint = folder / f"{stem}.checkpoint.json"
        self.quarantined = folder / f"{stem}.quarantine.jsonl"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep others from these files; whatever ends the process lets go of them.

        Raises ``RefusedError`` where another process has them, ``UsageError`` where the folder
        cannot be written.
        """
        self._check_folder()
        with locked(self._folder / f".{self._stem}.lock") as ours:
            if not ours:
                raise RefusedError(
                    "another ingest of this source into this collection is under way; wait until "
                    "it ends, then run the same command again"
                )
            yield

    def load(self) -> Checkpoint | None:
        return _read(self.checkpoint)

    def others(self) -> list[Checkpoint]:
        paths = sorted(self._folder.glob("*.checkpoint.json"))
        found = (_read(path) for path in paths if path != self.checkpoint)
        return [checkpoint for checkpoint in found if checkpoint is not None]

    def save(self, checkpoint: Checkpoint) -> None:
        text = json.dumps({"version": VERSION, **asdict(checkpoint)}, indent=2, ensure_ascii=False)
        self._make_folder()
        try:
            with replacing(self.checkpoint) as file:
                file.write(text.encode())
        except OSError as error:
            raise self._unwritable(self.checkpoint, error) from error

    def begin(self, faults: int) -> None:
        if not self.quarantined.exists():
            return
        if not faults:
            self.quarantined.unlink()
            return
        with self.quarantined.open("r+b") as file:
            for _ in range(faults):
                file.readline()
            file.truncate(file.tell())

    def quarantine(self, faults: Sequence[RowFault]) -> None:
        self._make_folder()
        try:
            with self.quarantined.open("a", encoding="utf-8") as file:
                file.writelines(_lines(faults))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._unwritable(self.quarantined, error) from error

    def _check_folder(self) -> None:
        """Better told now than after an hour of embedding."""
        self._make_folder()
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise UsageError(
                f"the directory {self._folder} cannot be written; "
                "name a writable one with --runs-dir"
            )

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"the directory {self._folder} cannot be made ({error.strerror}); "
                "name a writable one with --runs-dir"
            ) from error

    def _unwritable(self, path: Path, error: OSError) -> VdbclusterError:
        return VdbclusterError(
            f"{path} cannot be written ({error.strerror}); free some space, or name another "
            "directory with --runs-dir"
        )


def _lines(faults: Iterable[RowFault]) -> Iterable[str]:
    for fault in faults:
        said = {"row": fault.number, "reason": sayable(fault.reason), "raw": sayable(fault.raw)}
        yield json.dumps(said, ensure_ascii=True, allow_nan=False, default=str) + "\n"


def _plain(source: str) -> str:
    """A part of a file's name that can be read, whatever the source is called."""
    name = Path(source).name or "stdin"
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)[:80]


def _read(path: Path) -> Checkpoint | None:
    try:
        said = json.loads(path.read_text("utf-8"))
        if said.pop("version") != VERSION:
            return None
        return Checkpoint(**said)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # none yet, or not ours: beginning anew costs time and harms nothing
