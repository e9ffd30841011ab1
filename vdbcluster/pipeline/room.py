"""Where large arrays live: in memory, or beyond a bound in files that vanish with the process.

In: shape and dtype. Out: an array that is written to and read like any other.
Promise: a file has no name (it is unlinked at once), so that nothing is left however the process
ends; its disk space is taken when it is made, so that a disk that is too small is told in one line
and never by a signal in the middle of a stage.

    room = room_of(settings)
    indices = room.empty((n, k), np.int32)

Pages of such a file are in memory only while the machine has room for them: they count as resident
(``RssFile``), and the system takes them back when it needs them. Not on a tmpfs, where a file is
memory: so the files lie beside the records of runs and not in /tmp.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vdbcluster.config.settings import Settings
from vdbcluster.errors import RefusedError

SHARE = 16
"""One array takes at most this part of the limit in memory: a run holds the vectors, the graph,
the graph as smoothed (two arrays each), and as much again while one is made from another."""
_BLOCK_ROWS = 65536


@dataclass(frozen=True, slots=True)
class Room:
    """Where large arrays live: in memory up to ``memory_bytes`` each, beyond in a file of
    ``folder``, which is made where it is missing; None is the system's folder of temporary files.
    """

    memory_bytes: int
    folder: Path | None = None

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array with unspecified content; a ``np.memmap`` where it lies in a file.

        Raises ``RefusedError`` where the file cannot be made or the disk has too little space.
        """
        kind = np.dtype(dtype)
        size = prod(shape) * kind.itemsize
        if self.holds(size):
            return np.empty(shape, kind)
        try:
            with self._file(size) as file:  # the mapping keeps it alive
                return np.memmap(file, kind, "r+", shape=shape)
        except OSError as error:
            raise RefusedError(
                f"{size >> 20:,} MiB of an array cannot be put in a file of {self._named()} "
                f"({error.strerror}); free some space, name another directory with --runs-dir, or "
                "allow more memory with --memory-limit"
            ) from error

    def placed(self, array: NDArray[Any]) -> NDArray[Any]:
        """The same array where it belongs; raises as ``empty`` does."""
        if self.holds(array.nbytes) or isinstance(array, np.memmap):
            return array
        found = self.empty(array.shape, array.dtype)
        for start in range(0, len(array), _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            found[rows] = array[rows]
        return found

    def holds(self, size: int) -> bool:
        """Whether an array of so many bytes stays in memory."""
        return size <= max(self.memory_bytes, 0)

    def _file(self, size: int) -> IO[bytes]:
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(prefix="vdbcluster-", dir=self.folder)  # noqa: SIM115
        try:
            _take(file, size)
        except OSError:
            file.close()
            raise
        return file

    def _named(self) -> str:
        return str(self.folder or tempfile.gettempdir())


def room_of(settings: Settings) -> Room:
    """What the settings allow: a part of ``scale.memory_limit`` for one array, else
    ``neighbors.memory_mb``; files beside the records of runs.
    """
    limit = settings.scale.memory_limit
    most = settings.neighbors.memory_mb << 20 if limit == "auto" else limit // SHARE
    return Room(most, settings.run.runs_dir)


def _take(file: IO[bytes], size: int) -> None:
    """Take the space at once: a write to a mapping without any would end the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:  # macOS: without the call a file grows when it is written to
        file.truncate(size)
