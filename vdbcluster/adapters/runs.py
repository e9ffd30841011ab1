"""Runs in a directory: ``<dir>/<run id>/manifest.json`` and ``arrays.npz``.

Promise: a file is written beside its place and renamed into it, so that a killed process leaves
the old one or the new one, never half; nothing is pickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from vdbcluster.errors import UsageError
from vdbcluster.model.manifest import RunManifest


class RunDirectory:
    """``RunStore`` on a file system."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, run_id: str) -> Path:
        """The directory of one run."""
        return self._root / run_id

    def save(self, manifest: RunManifest) -> None:
        text = json.dumps(manifest.to_json(), indent=2, ensure_ascii=False, sort_keys=True)
        with _replacing(self._place(manifest.run_id, "manifest.json")) as file:
            file.write(text.encode())

    def save_arrays(self, run_id: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        with _replacing(self._place(run_id, "arrays.npz")) as file:
            flat = {k: v for name, array in arrays.items() for k, v in _flat(name, array).items()}
            np.savez(file, allow_pickle=False, **flat)

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


class _replacing:  # noqa: N801  (reads as a verb in a with statement)
    """A binary file that takes its place only when it is whole and on disk."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._beside = place.with_name(f".{place.name}.{os.getpid()}")

    def __enter__(self) -> IO[bytes]:
        self._file = cast("IO[bytes]", self._beside.open("wb"))
        return self._file

    def __exit__(self, kind: object, *_: object) -> None:
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
        if kind is None:
            self._beside.replace(self._place)
        else:
            self._beside.unlink()
