"""The record of a run while it grows.

In: a run store, a manifest that says who and what. Out: the same manifest with facts, timings and
states as they come, stored as a whole each time. Promise: no other code changes a manifest, but for
the facts of ``explain`` (``explain_record``); a stage of another thread may end at any time.

    journal = Journal(runs, begun)
    with journal.timed("read"):
        journal.facts["read"] = ...
    journal.record("planned")
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from vdbcluster.config.settings import SECRET, Settings
from vdbcluster.errors import out_of_memory
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.manifest import ClusterRow, RunManifest, RunState
from vdbcluster.pipeline.adapters import Outlets
from vdbcluster.ports import RunStore
from vdbcluster.ports.machine import Machine, MemoryPeak, UnknownMachine


@dataclass
class Journal:
    """``facts`` by stage, ``seconds`` by stage, ``clusters`` as the table shows them.

    ``facts["memory"]``: MiB by stage as ``machine`` saw them, the highest of each.
    """

    runs: RunStore
    begun: RunManifest
    machine: Machine = field(default_factory=UnknownMachine)
    facts: dict[str, Any] = field(init=False)
    seconds: dict[str, float] = field(init=False)
    clusters: tuple[ClusterRow, ...] = field(init=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        """A manifest that was recorded before goes on from what it holds."""
        self.facts, self.seconds = dict(self.begun.facts), dict(self.begun.seconds)
        self.clusters = self.begun.clusters

    @property
    def run_id(self) -> str:
        return self.begun.run_id

    def manifest(self, state: RunState) -> RunManifest:
        """What is known so far."""
        with self._lock:
            facts, seconds = deepcopy(self.facts), dict(self.seconds)
        return replace(
            self.begun, state=state, facts=facts, seconds=seconds, clusters=self.clusters
        )

    def record(self, state: RunState) -> RunManifest:
        """Store what is known so far."""
        manifest = self.manifest(state)
        self.runs.save(manifest)
        return manifest

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Raises ``NotEnoughMemoryError`` where the stage runs out of memory."""
        start = time.perf_counter()
        try:
            with self.machine.watch() as peak:
                yield
        except MemoryError as error:
            raise out_of_memory(error, stage) from error
        with self._lock:
            self.seconds[stage] = round(time.perf_counter() - start, 3)
            self._note_memory(stage, peak)

    def _note_memory(self, stage: str, peak: MemoryPeak) -> None:
        if not peak.own:
            return
        told = self.facts.setdefault("memory", {"stages": {}, "peak_mb": 0, "files_mb": 0})
        own, files = peak.own >> 20, peak.files >> 20
        told["stages"][stage] = {"own_mb": own, "files_mb": files}
        told["peak_mb"] = max(told["peak_mb"], own)
        told["files_mb"] = max(told["files_mb"], files)


def begin(outlets: Outlets, settings: Settings, run_id: str, versions: dict[str, str]) -> Journal:
    """The journal of a new run over this selection."""
    vector = outlets.source.vector.name
    begun = begun_run(outlets.profile, vector, settings, run_id, versions)
    return Journal(outlets.runs, begun, outlets.machine)


def begun_run(
    profile: CollectionProfile,
    vector_field: str,
    settings: Settings,
    run_id: str,
    versions: dict[str, str],
) -> RunManifest:
    """What is known of a run when it begins; settings without what is secret."""
    milvus = settings.milvus
    return RunManifest(
        run_id=run_id,
        state="reading",
        collection=profile.name,
        identity=profile.identity,
        selection={
            "server": profile.server.address,
            "vector_field": vector_field,
            "filter": milvus.filter,
            "partitions": list(milvus.partitions),
        },
        settings=settings.model_dump(mode="json", exclude=SECRET),
        versions=versions,
        started=datetime.now(UTC).isoformat(timespec="microseconds"),
    )
