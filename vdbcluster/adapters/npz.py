"""Arrays in one file, texts among them, without pickle.

In: arrays by name; those of dtype ``object`` hold ``str``. Out: the same arrays.
Promise: a file that is cut off, overwritten or of another kind raises one of ``DAMAGED``, and is
never taken for another array; nothing in it can run code.

    write_npz(file, {"keys": np.array(["a", "b"], object)})
    read_npz(path)["keys"]
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

UTF8 = ".utf8"
ENDS = ".ends"
DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    RuntimeError,  # zipfile: it says to be encrypted, or compressed as nothing is
    struct.error,
    zipfile.BadZipFile,
)


def write_npz(file: IO[bytes], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Texts become ``<name>.utf8``, all their bytes, and ``<name>.ends``, where each ends."""
    np.savez(file, allow_pickle=False, **flat(arrays))


def flat(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The same in numbers alone, as ``write_npz`` stores them."""
    return {k: v for name, array in arrays.items() for k, v in _flat(name, array).items()}


def whole(stored: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """What was given to ``flat``."""
    return {name.removesuffix(UTF8): _whole(stored, name) for name in stored if not _is_ends(name)}


def read_npz(place: Path) -> dict[str, NDArray[Any]]:
    """What ``write_npz`` wrote; one of ``DAMAGED`` if it is not that any more."""
    with zipfile.ZipFile(place) as archive:
        if (wrong := archive.testzip()) is not None:
            raise ValueError(f"{wrong} in it is damaged")
    with np.load(place, allow_pickle=False) as stored:
        return whole({name: stored[name] for name in stored.files})


def _is_ends(name: str) -> bool:
    return name.endswith(ENDS)


def _flat(name: str, array: NDArray[Any]) -> dict[str, NDArray[Any]]:
    if array.dtype != object:
        return {name: array}
    texts = [str(value).encode("utf-8", "surrogatepass") for value in array]
    return {
        name + UTF8: np.frombuffer(b"".join(texts), np.uint8),
        name + ENDS: np.cumsum([len(text) for text in texts], dtype=np.int64),
    }


def _whole(stored: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    if not name.endswith(UTF8):
        return stored[name]
    data, ends = stored[name].tobytes(), stored[name.removesuffix(UTF8) + ENDS]
    texts = [data[a:b].decode("utf-8", "surrogatepass") for a, b in pairwise([0, *ends.tolist()])]
    found = np.empty(len(texts), object)
    found[:] = texts
    return found
