"""A graph in pieces in a folder of this machine, or of an object store.

In: a path, or a URL that fsspec knows (``s3://bucket/graph``; the store's own package must be
installed). Out: ``ShardStore``. Promise: a piece is there as a whole or not at all: it is renamed
into its place, and an object store shows an object once it is complete. Nothing is believed of a
listing that was read before, since others write here too.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import fsspec
import numpy as np
from numpy.typing import NDArray

from vdbcluster.adapters.npy import forget_remote, map_npy, map_remote, write_npy
from vdbcluster.adapters.npz import DAMAGED
from vdbcluster.adapters.replacing import replacing
from vdbcluster.errors import UsageError, VdbclusterError

_OURS = re.compile(r"\.?.+\.np[yz](\.\d+)?")
"""Names of pieces, and of those that a killed process left half written."""
_OF_A_PIECE = (FileNotFoundError, *(kind for kind in DAMAGED if kind is not OSError))
"""Errors that come of what lies there, or does not; others come of the place."""
_MACHINE = f"{secrets.randbits(48):015}"
"""Processes of several machines write here, and in containers their numbers are often the same."""


@dataclass(frozen=True, slots=True)
class ShardFiles:
    """``ShardStore``: one file a name; nothing is open between two calls.

    Raises ``UsageError`` at the first call if fsspec does not know the URL, or lacks its package.
    """

    url: str = field(repr=False)

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
        files, place = self._place(f"{name}.npz")
        with (
            self._told(name, files),
            files.open(place, "rb") as file,
            np.load(file, allow_pickle=False) as stored,
        ):
            return {field: stored[field] for field in fields or stored.files}

    def has_matrix(self, name: str) -> bool:
        return self._is_there(f"{name}.npy")

    def save_matrix(self, name: str, array: NDArray[Any]) -> None:
        _refuse_objects(array)
        self._write(f"{name}.npy", lambda file: write_npy(file, array))

    def matrix(self, name: str) -> NDArray[Any]:
        files, place = self._place(f"{name}.npy")
        with self._told(name, files):
            return map_npy(Path(place)) if is_local(files) else map_remote(files, self.url, place)

    def remove(self, name: str) -> None:
        files, place = self._place(f"{name}.npz")
        with self._told(name, files), suppress(FileNotFoundError):
            files.rm_file(place)

    def drop(self) -> None:
        """Removes the pieces, and a folder of this machine if nothing else lies in it.

        Another process may do so meanwhile.
        """
        files, root = self._root()
        forget_remote(self.url)
        with self._told("*", files):
            for place in _listed(files, root):
                if _OURS.fullmatch(Path(place).name):
                    with suppress(FileNotFoundError):
                        files.rm_file(place)
            if is_local(files) and not _listed(files, root):
                with suppress(FileNotFoundError):
                    Path(root).rmdir()

    def _is_there(self, file_name: str) -> bool:
        files, place = self._place(file_name)
        with self._told(file_name, files):
            try:
                return bool(files.info(place)["type"] == "file")
            except (FileNotFoundError, NotADirectoryError):
                return False

    def _write(self, file_name: str, write: Callable[[IO[bytes]], None]) -> None:
        """In blocks, however large it is."""
        files, place = self._place(file_name)
        with self._told(file_name, files):
            if is_local(files):
                Path(place).parent.mkdir(parents=True, exist_ok=True)
                with replacing(Path(place), f"{os.getpid()}{_MACHINE}") as file:
                    write(file)
            else:  # without the transaction, half of a file that fails would be kept
                with files.transaction, files.open(place, "wb") as file:
                    write(file)

    def _send(self, file_name: str, write: Callable[[IO[bytes]], None]) -> None:
        """What is small goes to an object store in one request, not in three: of an upload in parts
        that a killed process leaves behind, no listing tells.
        """
        files, place = self._place(file_name)
        if is_local(files):
            self._write(file_name, write)
            return
        with (
            self._told(file_name, files),
            files.transaction,
            tempfile.NamedTemporaryFile(prefix="vdbcluster-") as here,
        ):
            write(here)
            here.flush()
            files.put_file(here.name, place)

    def _place(self, file_name: str) -> tuple[Any, str]:
        files, root = self._root()
        return files, f"{root}/{file_name}"

    def _root(self) -> tuple[Any, str]:
        return file_system(self.url)

    @contextmanager
    def _told(self, name: str, files: Any) -> Iterator[None]:
        try:
            yield
        except DAMAGED as error:
            raise self._trouble(name, error) from error
        except Exception as error:
            if is_local(files):
                raise
            raise self._trouble(name, error) from error  # each store has errors of its own

    def _trouble(self, name: str, error: Exception) -> VdbclusterError:
        if isinstance(error, _OF_A_PIECE):
            what_to_do = "if it is damaged, remove it: the next run makes it again"
        else:
            what_to_do = "what was finished is kept: once it can be, run again"
        return VdbclusterError(
            f"the piece {name!r} of the graph in {self.shown} cannot be read or written "
            f"({told_by(error)}); {what_to_do}"
        )


def told_by(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def shown(url: str) -> str:
    """A path or URL as it may be told: without user and password."""
    scheme, found, rest = url.partition("://")
    if not found:
        return url
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of a path or URL, and the folder in it.

    Raises ``UsageError`` if fsspec does not know the URL, or lacks its package.
    """
    try:
        files, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise UsageError(f"pieces cannot be kept in {shown(url)}: {error}") from error
    return files, root.rstrip("/")


def is_local(files: Any) -> bool:
    """Whether it is that of this machine."""
    return isinstance(files, fsspec.get_filesystem_class("file"))


def _listed(files: Any, root: str) -> list[str]:
    try:
        return list(files.ls(root, detail=False))
    except FileNotFoundError:
        return []


def _refuse_objects(*arrays: NDArray[Any]) -> None:
    if any(array.dtype.hasobject for array in arrays):
        raise ValueError("Object arrays cannot be kept, numbers only")
