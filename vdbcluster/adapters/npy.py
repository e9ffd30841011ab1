"""One array in one ``.npy`` file (or in a part of a file) that is written in blocks and read as a
memory map.

In: an array, or a file of an array. Out: the file; the array, read-only.
Promise: memory for one block, however large the array, and be it a memory map itself; a file that
is cut off or of another kind raises one of ``npz.DAMAGED``; nothing in it can run code. A file of
an object store is brought here once a process, into a file that vanishes with it.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from dataclasses import dataclass
from errno import ENOMEM
from math import prod
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

ALIGNED = 64
"""Where numbers begin, from the begin of a file: as ``.npy`` has it."""
_BLOCK_BYTES = 16 << 20
_brought: dict[tuple[str, str], tuple[str, NDArray[Any]]] = {}
"""Files of object stores that this process has here: which, as it was, and the map."""
_bringing = threading.Lock()


def write_npy(file: IO[bytes], array: NDArray[Any]) -> None:
    """As ``np.save`` would, row by row whatever the order in memory; no dtype ``object``."""
    header = {"descr": npy.dtype_to_descr(array.dtype), "fortran_order": False}
    npy.write_array_header_1_0(file, header | {"shape": array.shape})
    if array.ndim == 0:
        file.write(array.tobytes())
        return
    a_row = max(1, array.dtype.itemsize * prod(array.shape[1:]))
    step = max(1, _BLOCK_BYTES // a_row)
    for start in range(0, len(array) if array.size else 0, step):
        file.write(np.ascontiguousarray(array[start : start + step]).data)


def map_npy(place: Path) -> NDArray[Any]:
    """The array of a file of this machine, read-only."""
    with place.open("rb") as file:
        return _mapped(file)


def map_remote(files: Any, url: str, place: str) -> NDArray[Any]:
    """The array of the file ``place`` of an fsspec file system, read-only; ``url`` tells stores
    apart. ``OSError`` where it cannot be read, or where there is no room for it here.
    """
    which = (url, place)
    with _bringing:
        now = str(files.ukey(place))
        before, held = _brought.get(which, ("", None))
        if held is None or before != now:
            with (
                tempfile.TemporaryFile(prefix="vdbcluster-") as here,  # the mapping keeps it alive
                files.open(place, "rb") as there,
            ):
                shutil.copyfileobj(there, here, _BLOCK_BYTES)
                here.flush()
                held = _mapped(here)
            _brought[which] = now, held
        return held


def forget_remote(url: str) -> None:
    """Give the space back of files that are gone from the store at ``url``."""
    with _bringing:
        for which in [known for known in _brought if known[0] == url]:
            del _brought[which]


def map_part(file: IO[bytes], begin: int, end: int) -> NDArray[Any] | None:
    """The array that lies from ``begin`` to ``end`` of a file, to be written to: what is written
    stays in this process, and takes memory. None where it lies askew, and has to be read.

    A map that none can write to is another type for the compiler of the clustering, which would be
    compiled anew for it; it is given only where the system has not the memory to copy all of it.
    """
    found = _header(file, begin, end)
    if found.start % ALIGNED:
        return None
    try:
        return found.map(file, "c")
    except OSError as error:
        if error.errno != ENOMEM:
            raise
        return found.map(file, "r")


def _mapped(file: IO[bytes]) -> NDArray[Any]:
    return _header(file, 0, file.seek(0, 2)).map(file, "r")


@dataclass(frozen=True, slots=True)
class _Header:
    """``start``: of the numbers, in the file."""

    shape: tuple[int, ...]
    kind: np.dtype[Any]
    start: int

    def map(self, file: IO[bytes], mode: Literal["r", "c"]) -> NDArray[Any]:
        if not prod(self.shape) * self.kind.itemsize:
            return np.empty(self.shape, self.kind)
        return np.memmap(file, self.kind, mode, self.start, self.shape)


def _header(file: IO[bytes], begin: int, end: int) -> _Header:
    """``ValueError`` if no whole array of numbers, row by row, lies from ``begin`` to ``end``."""
    file.seek(begin)
    if npy.read_magic(file) != (1, 0):
        raise ValueError("it is no .npy file of version 1.0")
    shape, by_columns, kind = npy.read_array_header_1_0(file)
    if by_columns or kind.hasobject or end - file.tell() != prod(shape) * kind.itemsize:
        raise ValueError(f"it should hold {shape} numbers of {kind}, and does not")
    return _Header(shape, kind, file.tell())
