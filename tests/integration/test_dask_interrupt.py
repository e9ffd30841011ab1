"""Ctrl-C in a terminal goes to every process of a command: none but the first may answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

CHILD = """
import signal, sys, time
from vdbcluster.adapters.dask_workers import dask_workers

signal.signal(signal.SIGINT, signal.default_int_handler)
print("begins", flush=True)
try:
    with dask_workers(processes=1) as workers:
        print("works", flush=True)
        time.sleep(100)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals cannot be blocked here")
@pytest.mark.parametrize(("line", "later"), [("begins", 1.5), ("works", 0.0)])
def test_workers_say_nothing_when_a_terminal_interrupts(line: str, later: float) -> None:
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
        time.sleep(later)
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (130, "")
