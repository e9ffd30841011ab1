"""Who holds a lock, and whether that process is certainly gone."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdbcluster.adapters.processes import clock, is_gone, this_process
from vdbcluster.model.holder import Holder

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


@given(st.text(), st.text(), st.integers(), st.floats(0, 1e6))
def test_json_comes_back(run: str, host: str, pid: int, lease: float) -> None:
    holder = Holder(run, host, pid, "2026-03-01T03:00:00Z", lease, "m", 7)
    assert Holder.from_json(holder.to_json()) == holder


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "null", '{"pid": 1}', '{"other": 1}'])
def test_what_is_no_holder_is_none(text: str) -> None:
    assert Holder.from_json(text) is None


def test_a_living_process_is_not_gone() -> None:
    assert not is_gone(this_process("run-1"))


@linux
def test_a_process_that_ended_is_gone_even_if_its_id_lives_again() -> None:
    mine = this_process("run-1")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        theirs = replace(mine, pid=other.pid)
        assert is_gone(theirs)  # started at another time than this
        other.kill()
    assert is_gone(theirs)
    assert is_gone(replace(mine, started=mine.started + 1))


@linux
def test_a_process_that_nobody_has_waited_for_is_gone() -> None:
    code = "from vdbcluster.adapters.processes import this_process as t; print(t('').to_json())"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        holder = Holder.from_json(other.stdout.read())
        assert holder is not None
        assert holder.pid == other.pid


@pytest.mark.parametrize("change", [{"machine": ""}, {"machine": "other"}, {"started": 0}])
def test_of_other_machines_nothing_is_known(change: dict[str, object]) -> None:
    absent = replace(this_process("run-1"), pid=2**22 + 1)
    assert not is_gone(replace(absent, **change))  # type: ignore[arg-type]


def test_the_clock_goes_forward() -> None:
    assert clock() <= clock()
