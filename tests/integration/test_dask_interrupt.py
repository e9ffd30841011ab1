"""Ctrl-C in a terminal goes to every process of a command, as SIGTERM may; one alone may answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.integration.crew_runs import workers_of

CHILD = """
import signal, sys, time
from vdbcluster.adapters.dask_workers import dask_workers

def interrupted(*_):
    raise KeyboardInterrupt

for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, interrupted)
print("begins", flush=True)
try:
    with dask_workers(processes=1) as workers:
        print("works", flush=True)
        time.sleep(100)
except KeyboardInterrupt:
    sys.exit(130)
"""
SECONDS = 60

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "pthread_sigmask"), reason="signals cannot be blocked here"
)


@contextmanager
def child(line: str) -> Iterator[subprocess.Popen[str]]:
    """The process once it has said so."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        while process.stdout.readline() != f"{line}\n":
            assert process.poll() is None
        yield process


def interrupt(process: subprocess.Popen[str], number: signal.Signals, *, group: bool) -> None:
    """It ends as interrupted, says nothing, and nobody that it has started is left."""
    begun = psutil.Process(process.pid).children(recursive=True)
    (os.killpg if group else os.kill)(process.pid, number)
    said, told = process.communicate(timeout=SECONDS)
    assert (process.returncode, told) == (130, "")
    assert said in ("", "works\n")
    assert psutil.wait_procs(begun, timeout=SECONDS)[1] == []


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_one_alone_answers_while_all_work(number: signal.Signals) -> None:
    with child("works") as process:
        interrupt(process, number, group=True)


@pytest.mark.parametrize(
    ("number", "group"),
    [
        (signal.SIGINT, True),
        (signal.SIGTERM, False),
        pytest.param(signal.SIGTERM, True, marks=pytest.mark.slow),
    ],
)
def test_one_alone_answers_while_workers_begin(number: signal.Signals, group: bool) -> None:
    with child("begins") as process:
        deadline = time.monotonic() + SECONDS
        while not workers_of(process):  # it has to import for a second before it can say more
            assert time.monotonic() < deadline
            time.sleep(0.02)
        interrupt(process, number, group=group)
