"""Arrays in one file, texts among them, without pickle.

In: arrays by name; those of dtype ``object`` hold ``str``. Out: the same arrays.
Promise: a file that is cut off, overwritten or of another kind raises one of ``DAMAGED``, and is
never taken for another array; nothing in it can run code. Numbers begin where a memory map can
take them, whoever wrote the file before reads it all the same (``np.load`` does, too).

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

from vdbcluster.adapters.npy import ALIGNED, map_part, write_npy

_LOCAL = struct.Struct("<4s5H3I2H")
"""Before each file in the archive; the last two are the lengths of its name and of what follows."""
_FIELD, _FILLER = struct.Struct("<2H"), 0x4456
"""Of an extra field: its name, which none else has, and its length."""
_LARGE = 20
"""Bytes of the extra field of large files, which comes after ours."""
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
    """Texts become ``<name>.utf8``, all their bytes, and ``<name>.ends``, where each ends.

    ``file`` can be sought in.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in flat(arrays).items():
            info = zipfile.ZipInfo(f"{name}.npy")
            info.extra = _filler(file.tell() + _LOCAL.size + len(info.filename.encode()) + _LARGE)
            with archive.open(info, "w", force_zip64=True) as member:
                write_npy(member, array)


def _filler(at: int) -> bytes:
    """An extra field that moves what would begin ``at`` to where numbers can be mapped."""
    size = -(at + _FIELD.size) % ALIGNED
    return _FIELD.pack(_FILLER, size) + bytes(size)


def flat(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The same in numbers alone, as ``write_npz`` stores them."""
    return {k: v for name, array in arrays.items() for k, v in _flat(name, array).items()}


def whole(stored: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """What was given to ``flat``."""
    return {name.removesuffix(UTF8): _whole(stored, name) for name in stored if not _is_ends(name)}


def read_npz(place: Path, mapped: int | None = None) -> dict[str, NDArray[Any]]:
    """What ``write_npz`` wrote; one of ``DAMAGED`` if it is not that any more.

    Arrays of numbers of at least ``mapped`` bytes are memory maps (``npy.map_part``), but for those
    that earlier versions have put where none can be.
    """
    with place.open("rb") as file, zipfile.ZipFile(file) as archive:
        if (wrong := archive.testzip()) is not None:
            raise ValueError(f"{wrong} in it is damaged")
        stored = {}
        for info in archive.infolist():
            large = mapped is not None and info.file_size >= mapped
            found = _map(file, info) if large else None
            stored[info.filename.removesuffix(".npy")] = (
                _read(archive, info) if found is None else found
            )
    return whole(stored)


def _map(file: IO[bytes], info: zipfile.ZipInfo) -> NDArray[Any] | None:
    if info.compress_type != zipfile.ZIP_STORED:
        return None
    file.seek(info.header_offset)
    *_, name, extra = _LOCAL.unpack(file.read(_LOCAL.size))
    begin = info.header_offset + _LOCAL.size + name + extra
    return map_part(file, begin, begin + info.file_size)


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(info) as member:
        found: NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
        return found


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
