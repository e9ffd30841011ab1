"""What a run has made while it searches: used by the run that writes, gone if it does not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.silent import Listener
from tests.unit.test_run import PLAIN, adapters, blobs
from vdbcluster.adapters.memory import MemorySink
from vdbcluster.adapters.memory_catalogue import MemoryCatalogue
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.errors import BackendError, RefusedError
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.catalogue import Catalogue
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline import beside as beside_module
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.beside import known
from vdbcluster.pipeline.run import run
from vdbcluster.ports import NeighborSearch
from vdbcluster.ports.catalogue import Ready

Told = list[str]


class Sink(MemorySink):
    def __init__(self, collection: MemoryCollection, told: Told) -> None:
        super().__init__(collection)
        self.told = told
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.entered = threading.Event()

    @contextmanager
    def reserved(self) -> Iterator[None]:
        self.entered.set()
        assert self.may_go_on.wait(20)
        self.told.append("labels")
        try:
            yield
        finally:
            self.told.append("labels gone")


class Kept(MemoryCatalogue):
    """``rooms``: catalogues that were given room; ``failing``: none can be had."""

    def __init__(self, collection: MemoryCollection, told: Told, failing: bool = False) -> None:
        super().__init__(collection)
        self.told, self.failing = told, failing

    @contextmanager
    def reserved(self, run_id: str) -> Iterator[Kept]:  # type: ignore[override]
        if self.failing:
            raise BackendError("no room for another collection")
        self.told.append(f"catalogue of {run_id}")
        try:
            yield Room(self)
        finally:
            self.told.append("catalogue gone")


class Room(Kept):
    def __init__(self, held: Kept) -> None:
        super().__init__(held._collection, held.told)
        self.held = held

    def prepare(self, catalogue: Catalogue, *, since: Catalogue | None = None) -> Ready:
        self.told.append("filled")
        return self.held.prepare(catalogue, since=since)


@pytest.fixture
def told() -> Told:
    return []


@pytest.fixture
def held() -> MemoryCollection:
    return MemoryCollection(blobs())


def made(held: MemoryCollection, folder: Path, sink: Sink, catalogue: Kept) -> Adapters:
    found = adapters(held, folder)
    return replace(found, sink=known(sink), catalogue=lambda: catalogue)


def test_the_room_is_filled_by_the_run_that_writes(
    held: MemoryCollection, told: Told, tmp_path: Path
) -> None:
    sink, catalogue = Sink(held, told), Kept(held, told)

    manifest = run(
        made(held, tmp_path, sink, catalogue), PLAIN, Listener(), run_id="first", versions={}
    )

    assert told == ["labels", "catalogue of first", "filled", "catalogue gone", "labels gone"]
    assert manifest.facts["catalogue"]["written"]
    assert catalogue.read() is not None


def test_nothing_is_made_for_a_dry_run_and_what_is_refused_leaves_nothing(
    held: MemoryCollection, told: Told, tmp_path: Path
) -> None:
    of_run = made(held, tmp_path, Sink(held, told), Kept(held, told))
    run(of_run, PLAIN, Listener(), run_id="first", versions={}, dry_run=True)
    assert told == []

    with pytest.raises(RefusedError):
        run(of_run, PLAIN, Listener(), run_id="second", versions={}, confirm=lambda _: False)

    assert told == ["labels", "catalogue of second", "catalogue gone", "labels gone"]


def test_a_server_without_room_for_a_catalogue_costs_no_label(
    held: MemoryCollection, told: Told, tmp_path: Path
) -> None:
    of_run = made(held, tmp_path, Sink(held, told), Kept(held, told, failing=True))

    manifest = run(of_run, PLAIN, Listener(), run_id="first", versions={})

    assert told == ["labels", "labels gone"]
    assert held.labelled.all()
    assert manifest.facts["catalogue"]["written"]


def test_what_is_made_after_the_run_has_failed_goes_at_once(
    held: MemoryCollection, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside_module, "GRACE", 0.01)
    sink = Sink(held, told)
    sink.may_go_on.clear()
    of_run = made(held, tmp_path, sink, Kept(held, told))

    def failing(rows: Rows, points: Float32Array) -> NeighborSearch:
        assert sink.entered.wait(20)
        raise RefusedError("no neighbours today")

    with pytest.raises(RefusedError, match="no neighbours"):
        run(
            replace(of_run, search=failing),
            PLAIN,
            Listener(),
            run_id="first",
            versions={},
        )
    assert told == []
    sink.may_go_on.set()
    for thread in threading.enumerate():
        if thread.name == "beside":
            thread.join(20)

    assert told == ["labels", "labels gone"]
    assert not held.labelled.any()
