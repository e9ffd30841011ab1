"""A call beside others: its errors are told early, it is not left behind, nobody hangs on it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from tests.silent import Listener
from tests.unit.test_run import PLAIN, adapters, blobs
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.errors import RefusedError, VdbclusterError
from vdbcluster.pipeline import beside as module
from vdbcluster.pipeline.beside import beside, known, minded
from vdbcluster.pipeline.run import run
from vdbcluster.ports import LabelSink


def refuse() -> None:
    raise RefusedError("no way is safe")


def test_the_result_is_waited_for() -> None:
    begun = threading.Event()
    with beside(lambda: begun.wait(20)) as future:
        assert not future.done()
        begun.set()
        assert future.result() is True


def test_an_error_that_nobody_asked_for_ends_the_context() -> None:
    with pytest.raises(RefusedError), beside(refuse):
        pass


def test_an_error_is_told_at_the_next_step() -> None:
    go, done, listener = threading.Event(), [], Listener()

    def late() -> None:
        go.wait(20)
        refuse()

    def work() -> None:
        with beside(late) as future, minded(listener, future).stage("read", 10) as progress:
            for _ in range(2000):
                progress.advance(1)
                done.append(1)
                go.set()
                time.sleep(0.01)

    with pytest.raises(RefusedError):
        work()
    assert 1 <= len(done) < 2000
    with minded(listener, known(1)).stage("write", 1) as progress:
        progress.advance(1)
    assert listener.stages == ["read", "write"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, VdbclusterError])
def test_an_error_of_the_body_goes_first_and_the_call_may_tidy_up(
    error: type[BaseException],
) -> None:
    ended, tidied = threading.Event(), threading.Event()

    def call() -> None:
        ended.wait(20)
        tidied.set()
        refuse()

    def body() -> None:
        ended.set()
        raise error

    with pytest.raises(error), beside(call):
        body()
    assert tidied.is_set()


def test_a_call_that_does_not_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE", 0.05)
    end = threading.Event()
    try:
        with pytest.raises(VdbclusterError, match="body"), beside(lambda: end.wait(60)) as future:
            raise VdbclusterError("body")
        assert not future.done()
    finally:
        end.set()
    assert future.result(20) is True


def test_a_run_without_a_safe_way_is_refused_before_neighbours_are_searched(
    tmp_path: Path,
) -> None:
    held, searched = MemoryCollection(blobs()), []
    setup = adapters(held, tmp_path)
    refused: Future[LabelSink] = Future()
    refused.set_exception(RefusedError("no way is safe"))
    without = replace(setup, sink=refused, search=lambda *_: searched.append(1))
    with pytest.raises(RefusedError, match="no way is safe"):
        run(without, PLAIN, Listener(), run_id="x", versions={})
    assert searched == []
    assert not held.labelled.any()
