"""A graph in pieces in a folder of this machine, or of an object store.

In: a path, or a URL that fsspec knows (``s3://bucket/graph``; the store's own package must be
installed). Out: ``ShardStore``. Promise: a piece is there as a whole or not at all: it is renamed
into its place, and an object store shows an object once it is complete. Nothing is believed of a
listing that was read before, since others write here too.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vdbcluster.adapters.file_systems import (
    PATIENCE,
    Patience,
    file_system,
    is_local,
    is_silent,
    patiently,
    shown,
    told_by,
)
from vdbcluster.adapters.npy import forget_remote, map_npy, map_remote, write_npy
from vdbcluster.adapters.npz import DAMAGED
from vdbcluster.adapters.replacing import replacing
from vdbcluster.errors import VdbclusterError

T = TypeVar("T")
_OURS = re.compile(r"\.?.+\.np[yz](\.\d+)?")
"""Names of pieces, and of those that a killed process left half written."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Of errors of a disk that takes no more, or of a quota."""
_OF_A_PIECE = (FileNotFoundError, *(kind for kind in DAMAGED if kind is not OSError))
"""Errors that come of what lies there, or does not; others come of the place."""
_MACHINE = f"{secrets.randbits(48):015}"
"""Processes of several machines write here, and in containers their numbers are often the same."""


@dataclass(frozen=True, slots=True)
class ShardFiles:
    """``ShardStore``: one file a name; nothing is open between two calls.

    ``patience``: with an object store that is silent, see ``file_systems``.
    Raises ``UsageError`` at the first call if fsspec does not know the URL, or lacks its package.
    """

    url: str = field(repr=False)
    patience: Patience = field(default=PATIENCE, repr=False)

    @property
    def shown(self) -> str:
        """The URL without user and password."""
        return shown(self.url)

    def has(self, name: str) -> bool:
        return self._is_there(f"{name}.npz")

    def save(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        _refuse_objects(*arrays.values())
        self._send(f"{name}.npz", lambda file: np.savez(file, allow_pickle=False, **arrays))

    def load(self, name: str, *fields: str) -> dict[str, NDArray[Any]]:
        def read(files: Any, place: str) -> dict[str, NDArray[Any]]:
            with (
                files.open(place, "rb") as file,
                np.load(file, allow_pickle=False) as stored,
            ):
                return {field: stored[field] for field in fields or stored.files}

        return self._use(name, f"{name}.npz", read)

    def has_matrix(self, name: str) -> bool:
        return self._is_there(f"{name}.npy")

    def save_matrix(self, name: str, array: NDArray[Any]) -> None:
        _refuse_objects(array)
        self._write(f"{name}.npy", lambda file: write_npy(file, array))

    def matrix(self, name: str) -> NDArray[Any]:
        def read(files: Any, place: str) -> NDArray[Any]:
            return map_npy(Path(place)) if is_local(files) else map_remote(files, self.url, place)

        return self._use(name, f"{name}.npy", read)

    def remove(self, name: str) -> None:
        self._use(name, f"{name}.npz", _remove)

    def drop(self) -> None:
        """Removes the pieces, and a folder of this machine if nothing else lies in it.

        Another process may do so meanwhile.
        """
        forget_remote(self.url)
        self._use("*", "", _drop)

    def _is_there(self, file_name: str) -> bool:
        return self._use(file_name, file_name, _is_file)

    def _write(self, file_name: str, write: Callable[[IO[bytes]], None]) -> None:
        """In blocks, however large it is."""

        def whole(files: Any, place: str) -> None:
            if is_local(files):
                Path(place).parent.mkdir(parents=True, exist_ok=True)
                with replacing(Path(place), f"{os.getpid()}{_MACHINE}") as file:
                    write(file)
            else:  # without the transaction, half of a file that fails would be kept
                with files.transaction, files.open(place, "wb") as file:
                    write(file)

        self._use(file_name, file_name, whole)

    def _send(self, file_name: str, write: Callable[[IO[bytes]], None]) -> None:
        """What is small goes to an object store in one request, not in three: of an upload in parts
        that a killed process leaves behind, no listing tells.
        """
        if is_local(file_system(self.url, self.patience)[0]):
            self._write(file_name, write)
            return

        def at_once(files: Any, place: str) -> None:
            with (
                files.transaction,
                tempfile.NamedTemporaryFile(prefix="vdbcluster-") as here,
            ):
                write(here)
                here.flush()
                files.put_file(here.name, place)

        self._use(file_name, file_name, at_once)

    def _use(self, name: str, file_name: str, use: Callable[[Any, str], T]) -> T:
        """What ``use`` of the file system and the place of the file gives; begun again where the
        store breaks off, and its errors told in one line.
        """
        files, root = file_system(self.url, self.patience)
        place = f"{root}/{file_name}" if file_name else root
        try:
            return patiently(lambda: use(files, place), files, self.patience)
        except DAMAGED as error:
            raise self._trouble(name, error, files) from error
        except Exception as error:
            if is_local(files):
                raise
            raise self._trouble(name, error, files) from error  # each store has errors of its own

    def _trouble(self, name: str, error: Exception, files: Any) -> VdbclusterError:
        if not is_local(files) and is_silent(error):
            return VdbclusterError(
                f"{silent(self.url, error)}; what was finished is kept: once it answers, run again"
            )
        return VdbclusterError(
            f"the piece {name!r} of the graph in {self.shown} cannot be read or written "
            f"({told_by(error)}); {_what_to_do(error, files)}"
        )


def silent(url: str, error: BaseException) -> str:
    """The line of a place that does not answer, without what to do."""
    return f"the place {shown(url)} does not answer ({told_by(error)})"


def _what_to_do(error: Exception, files: Any) -> str:
    if isinstance(error, OSError) and error.errno in FULL:
        # Of an object store, pieces pass through a file of this machine.
        where = "there" if is_local(files) else f"in {tempfile.gettempdir()} here (TMPDIR)"
        return (
            f"free some space {where}, or name another place with --work-dir; what was finished "
            "is kept: then run again"
        )
    if isinstance(error, _OF_A_PIECE):
        return "if it is damaged, remove it: the next run makes it again"
    return "what was finished is kept: once it can be, run again"


def _is_file(files: Any, place: str) -> bool:
    try:
        return bool(files.info(place)["type"] == "file")
    except (FileNotFoundError, NotADirectoryError):
        return False


def _remove(files: Any, place: str) -> None:
    with suppress(FileNotFoundError):
        files.rm_file(place)


def _drop(files: Any, root: str) -> None:
    for place in _listed(files, root):
        if _OURS.fullmatch(Path(place).name):
            _remove(files, place)
    if is_local(files) and not _listed(files, root):
        with suppress(FileNotFoundError):
            Path(root).rmdir()


def _listed(files: Any, root: str) -> list[str]:
    try:
        return list(files.ls(root, detail=False))
    except FileNotFoundError:
        return []


def _refuse_objects(*arrays: NDArray[Any]) -> None:
    if any(array.dtype.hasobject for array in arrays):
        raise ValueError("Object arrays cannot be kept, numbers only")
