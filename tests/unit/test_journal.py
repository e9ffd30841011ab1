"""The record of a run while several threads work on it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import pytest

from vdbcluster.adapters.memory_runs import MemoryRuns
from vdbcluster.model.manifest import RunManifest
from vdbcluster.pipeline.journal import Journal
from vdbcluster.ports.machine import MemoryPeak, UnknownMachine

BEGUN = RunManifest(
    run_id="r",
    state="reading",
    collection="docs",
    identity="1",
    selection={},
    settings={},
    versions={},
)


class Measured(UnknownMachine):
    """A machine on which each stage takes something."""

    def watch(self) -> AbstractContextManager[MemoryPeak]:
        return nullcontext(MemoryPeak(1 << 20, 1 << 20))


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("restless")
def test_a_record_is_whole_while_another_stage_ends() -> None:
    """As languages are told beside the search."""
    journal = Journal(MemoryRuns(), BEGUN, Measured())

    def stages() -> None:
        for number in range(400):
            with journal.timed(f"stage {number}"):
                pass

    beside = threading.Thread(target=stages)
    beside.start()
    while beside.is_alive():
        told = journal.record("reading").to_json()
        assert len(told["facts"].get("memory", {"stages": ()})["stages"]) == len(told["seconds"])
    beside.join()
    assert len(journal.record("reading").seconds) == 400


def test_what_was_recorded_does_not_change_with_what_comes() -> None:
    journal = Journal(MemoryRuns(), BEGUN, Measured())
    with journal.timed("read"):
        journal.facts["read"] = {"rows": 3}
    before = journal.record("reading")
    with journal.timed("neighbors"):
        journal.facts["read"]["rows"] = 4
    assert (before.facts["read"], list(before.seconds)) == ({"rows": 3}, ["read"])
    assert list(before.facts["memory"]["stages"]) == ["read"]
