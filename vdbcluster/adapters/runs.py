"""Runs in a directory: ``<dir>/<run id>/manifest.json``, ``arrays.npz``, ``<part>.npz``, ``.json``.

In: see ``ports.runs``. Out: the same after a crash, on another machine, or by another version.
Promise: a file is written beside its place and renamed into it, so that a killed process leaves
the old one or the new one, never half, and a map of the old one stays whole; nothing is pickled,
and nothing that is read can run code.

    runs = RunDirectory(Path("vdbcluster-runs"))
    runs.save_arrays(run_id, {"keys": keys})
    runs.load_arrays(run_id)["keys"]
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Any, TypeVar

from numpy.typing import NDArray

from vdbcluster.adapters.npz import DAMAGED, read_npz, write_npz
from vdbcluster.adapters.replacing import replacing
from vdbcluster.errors import UsageError, VdbclusterError
from vdbcluster.model.manifest import RunManifest
from vdbcluster.ports.runs import LARGE_PARTS, TEXT_PARTS

T = TypeVar("T")
MANIFEST = "manifest.json"
MAPPED = 1 << 20
"""Bytes from which on an array of a large part is a memory map."""
ELSEWHERE = "name another directory with --runs-dir, or run again"
DAMAGE = "put a copy of it back, or remove its directory"


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
        self._put(manifest.run_id, MANIFEST, lambda file: file.write(text.encode()))

    def load(self, run_id: str) -> RunManifest:
        if run_id not in self.ids():
            raise UsageError(self._unknown(run_id))
        place = self.path(run_id) / MANIFEST
        try:
            manifest = RunManifest.from_json(json.loads(place.read_bytes()))
        except OSError as error:
            raise _unreadable(place, error.strerror) from error
        except (VdbclusterError, ValueError, RecursionError) as error:
            raise _unreadable(place, str(error)) from error
        if manifest.run_id != run_id:
            raise _unreadable(place, f"it is that of run {manifest.run_id!r}")
        return manifest

    def ids(self) -> tuple[str, ...]:
        try:
            folders = [path for path in self._root.iterdir() if path.is_dir()]
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise _unreadable(self._root, error.strerror) from error
        return tuple(sorted(folder.name for folder in folders if _files(folder)))

    def every(self) -> tuple[RunManifest, ...]:
        found = []
        for run_id in self.ids():
            try:
                found.append(self.load(run_id))
            except VdbclusterError:
                continue  # ``ids`` has it, and ``load`` says what is wrong
        return tuple(sorted(found, key=lambda manifest: (manifest.started, manifest.run_id)))

    def save_arrays(
        self, run_id: str, arrays: Mapping[str, NDArray[Any]], part: str = "plan"
    ) -> None:
        self._put(run_id, _file(part), lambda file: write_npz(file, arrays))

    def load_arrays(self, run_id: str, part: str = "plan") -> dict[str, NDArray[Any]]:
        mapped = MAPPED if part in LARGE_PARTS else None
        return self._get(run_id, part, lambda place: read_npz(place, mapped))

    def save_text(self, run_id: str, text: str, part: str) -> None:
        self._put(run_id, _file(part), lambda file: file.write(text.encode()))

    def load_text(self, run_id: str, part: str) -> str:
        return self._get(run_id, part, lambda place: place.read_text("utf-8"))

    def _get(self, run_id: str, part: str, read: Callable[[Path], T]) -> T:
        if run_id not in self.ids():
            raise UsageError(self._unknown(run_id))
        place = self.path(run_id) / _file(part)
        try:
            return read(place)
        except FileNotFoundError as error:
            raise VdbclusterError(
                f"the run {run_id} has recorded no {part} ({place} is not there); it ended before "
                "that, or an earlier version made it; run again"
            ) from error
        except DAMAGED as error:
            raise _unreadable(place, str(error) or type(error).__name__) from error

    def having(self, part: str) -> tuple[str, ...]:
        return tuple(run_id for run_id in self.ids() if (self.path(run_id) / _file(part)).is_file())

    def drop_arrays(self, run_id: str, part: str) -> None:
        place = self.path(run_id) / _file(part)
        with _removing(place):
            place.unlink(missing_ok=True)

    def move_arrays(self, run_id: str, part: str, to: str) -> None:
        source, place = self.path(run_id) / _file(part), self._place(to, _file(part))
        try:
            source.replace(place)
        except OSError as error:
            raise VdbclusterError(
                f"{source} cannot become {place} ({error.strerror}); run again"
            ) from error

    def remove(self, run_id: str) -> None:
        """Only files that are ours; the manifest last, so that a half removed run is still told."""
        if run_id not in self.ids():
            return
        folder = self.path(run_id)
        with _removing(folder):
            for file in sorted(_files(folder), key=lambda path: path.name == MANIFEST):
                file.unlink(missing_ok=True)
            if not any(folder.iterdir()):
                folder.rmdir()

    def _unknown(self, run_id: str) -> str:
        ids = self.ids()
        if not ids:
            return f"there is no run in {self._root}; {ELSEWHERE}"
        near = get_close_matches(run_id, ids, n=3, cutoff=0.3) or ids[-3:]
        return f"there is no run {run_id!r} in {self._root}; there are {', '.join(near)}"

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


def _file(part: str) -> str:
    if part in TEXT_PARTS:
        return f"{part}.json"
    return "arrays.npz" if part == "plan" else f"{part}.npz"


def _files(folder: Path) -> list[Path]:
    """Files of a run, also those that a killed process left beside their place."""
    ours = (MANIFEST, *map(_file, TEXT_PARTS))
    patterns = (*ours, "*.npz", *(f".{name}.*" for name in ours), ".*.npz.*")
    return [path for pattern in patterns for path in folder.glob(pattern) if path.is_file()]


@contextmanager
def _removing(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise VdbclusterError(
            f"the record of the run {place} cannot be removed ({error.strerror})"
        ) from error


def _unreadable(place: Path, why: str | None) -> VdbclusterError:
    reason = " ".join((why or "unknown").split())
    return VdbclusterError(f"the record of the run {place} cannot be read ({reason}); {DAMAGE}")
