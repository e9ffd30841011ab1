"""A graph in pieces in a folder of this machine, or of an object store.

In: a path, or a URL that fsspec knows (``s3://bucket/graph``; the store's own package must be
installed). Out: ``ShardStore``. Promise: a piece is there as a whole or not at all: it is renamed
into its place, and an object store shows an object once it is complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
from numpy.typing import NDArray

from vdbcluster.adapters.npz import DAMAGED
from vdbcluster.adapters.replacing import replacing
from vdbcluster.errors import VdbclusterError


@dataclass(frozen=True, slots=True)
class ShardFiles:
    """``ShardStore``: one file a name; nothing is open between two calls."""

    url: str

    def has(self, name: str) -> bool:
        files, place = self._place(name)
        try:
            return bool(files.isfile(place))
        except OSError as error:
            raise self._trouble(name, error) from error

    def save(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        files, place = self._place(name)
        try:
            if isinstance(files, fsspec.get_filesystem_class("file")):
                Path(place).parent.mkdir(parents=True, exist_ok=True)
                with replacing(Path(place)) as file:
                    np.savez(file, allow_pickle=False, **arrays)
            else:
                with files.open(place, "wb") as file:
                    np.savez(file, allow_pickle=False, **arrays)
        except OSError as error:
            raise self._trouble(name, error) from error

    def load(self, name: str, *fields: str) -> dict[str, NDArray[Any]]:
        files, place = self._place(name)
        try:
            with files.open(place, "rb") as file, np.load(file, allow_pickle=False) as stored:
                return {field: stored[field] for field in fields or stored.files}
        except DAMAGED as error:
            raise self._trouble(name, error) from error

    def _place(self, name: str) -> tuple[Any, str]:
        files, root = fsspec.core.url_to_fs(self.url)
        return files, f"{root.rstrip('/')}/{name}.npz"

    def _trouble(self, name: str, error: Exception) -> VdbclusterError:
        return VdbclusterError(
            f"the piece {name!r} of the graph in {self.url} cannot be read or written ({error}); "
            "if it is damaged, remove it: the next run makes it again"
        )
