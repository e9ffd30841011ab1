"""Where the record of a run is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from vdbcluster.model.manifest import RunManifest


class RunStore(Protocol):
    """Manifests and arrays by run id; a manifest is replaced as a whole or not at all."""

    def save(self, manifest: RunManifest) -> None: ...

    def save_arrays(self, run_id: str, arrays: Mapping[str, NDArray[Any]]) -> None: ...
