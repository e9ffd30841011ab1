"""``RunStore`` in memory.

In: manifests and arrays. Out: the same, as a ``RunDirectory`` would give them back.
Promise: what a caller does to an array afterwards changes nothing here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from vdbcluster.errors import UsageError, VdbclusterError
from vdbcluster.model.manifest import RunManifest


class MemoryRuns:
    """See ``ports.runs``."""

    def __init__(self) -> None:
        self._manifests: dict[str, str] = {}
        self._arrays: dict[tuple[str, str], dict[str, NDArray[Any]]] = {}
        self._texts: dict[tuple[str, str], str] = {}

    def save(self, manifest: RunManifest) -> None:
        self._manifests[manifest.run_id] = json.dumps(manifest.to_json())

    def load(self, run_id: str) -> RunManifest:
        self._check(run_id)
        if run_id not in self._manifests:
            raise VdbclusterError(f"the run {run_id} has no manifest; run again")
        return RunManifest.from_json(json.loads(self._manifests[run_id]))

    def ids(self) -> tuple[str, ...]:
        parts = (*self._arrays, *self._texts)
        return tuple(sorted({*self._manifests, *(run_id for run_id, _ in parts)}))

    def every(self) -> tuple[RunManifest, ...]:
        found = [self.load(run_id) for run_id in self._manifests]
        return tuple(sorted(found, key=lambda manifest: (manifest.started, manifest.run_id)))

    def save_arrays(
        self, run_id: str, arrays: Mapping[str, NDArray[Any]], part: str = "plan"
    ) -> None:
        self._arrays[run_id, part] = {name: array.copy() for name, array in arrays.items()}

    def load_arrays(self, run_id: str, part: str = "plan") -> dict[str, NDArray[Any]]:
        self._check(run_id)
        if (run_id, part) not in self._arrays:
            raise VdbclusterError(f"the run {run_id} has recorded no {part}; run again")
        return {name: array.copy() for name, array in self._arrays[run_id, part].items()}

    def having(self, part: str) -> tuple[str, ...]:
        return tuple(run_id for run_id, held in (*self._arrays, *self._texts) if held == part)

    def drop_arrays(self, run_id: str, part: str) -> None:
        self._arrays.pop((run_id, part), None)
        self._texts.pop((run_id, part), None)

    def move_arrays(self, run_id: str, part: str, to: str) -> None:
        if (run_id, part) not in self._arrays:
            raise VdbclusterError(f"the run {run_id} has recorded no {part}; run again")
        self._arrays[to, part] = self._arrays.pop((run_id, part))

    def save_text(self, run_id: str, text: str, part: str) -> None:
        self._texts[run_id, part] = text

    def load_text(self, run_id: str, part: str) -> str:
        self._check(run_id)
        if (run_id, part) not in self._texts:
            raise VdbclusterError(f"the run {run_id} has recorded no {part}; run again")
        return self._texts[run_id, part]

    def remove(self, run_id: str) -> None:
        self._manifests.pop(run_id, None)
        for held in (self._arrays, self._texts):
            for key in [key for key in held if key[0] == run_id]:
                del held[key]

    def _check(self, run_id: str) -> None:
        if run_id not in self.ids():
            raise UsageError(f"there is no run {run_id!r}")
