"""Runs in a directory: ``<dir>/<run id>/manifest.json`` and ``arrays.npz``.

Promise: a file is written beside its place and renamed into it, so that a killed process leaves
the old one or the new one, never half; nothing is pickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vdbcluster.adapters.replacing import replacing
from vdbcluster.errors import UsageError, VdbclusterError
from vdbcluster.model.manifest import RunManifest


class RunDirectory:
    """``RunStore`` on a file system."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, run_id: str) -> Path:
        """The directory of one run."""
        return self._root / run_id

    def obstacle(self) -> str:
        """Why no record can be kept here, as far as can be told without writing; empty if none."""
        there = next((path for path in (self._root, *self._root.parents) if path.exists()), None)
        if there is not None and there.is_dir() and os.access(there, os.W_OK | os.X_OK):
            return ""
        return (
            f"the record of a run cannot be kept in {self._root} ({there} is no writable "
            "directory); name one with --runs-dir"
        )

    def save(self, manifest: RunManifest) -> None:
        text = json.dumps(manifest.to_json(), indent=2, ensure_ascii=False, sort_keys=True)
        self._put(manifest.run_id, "manifest.json", lambda file: file.write(text.encode()))

    def save_arrays(self, run_id: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        flat = {k: v for name, array in arrays.items() for k, v in _flat(name, array).items()}
        self._put(run_id, "arrays.npz", lambda file: np.savez(file, allow_pickle=False, **flat))

    def _put(self, run_id: str, name: str, fill: Callable[[IO[bytes]], object]) -> None:
        """Write beside the place, then take it; ``VdbclusterError`` if that fails."""
        place = self._place(run_id, name)
        try:
            with replacing(place) as file:
                fill(file)
        except OSError as error:
            raise VdbclusterError(
                f"the record of the run {place} cannot be written ({error.strerror}); free some "
                "space, or name another directory with --runs-dir"
            ) from error

    def _place(self, run_id: str, name: str) -> Path:
        folder = self.path(run_id)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"the run directory {folder} cannot be made ({error.strerror}); "
                "name a writable one with --runs-dir"
            ) from error
        return folder / name


def _flat(name: str, array: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Strings become UTF-8 bytes and the offsets where each ends; all else stays as it is."""
    if array.dtype != object:
        return {name: array}
    texts = [str(value).encode() for value in array]
    return {
        f"{name}.utf8": np.frombuffer(b"".join(texts), np.uint8),
        f"{name}.ends": np.cumsum([len(text) for text in texts], dtype=np.int64),
    }
