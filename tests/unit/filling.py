"""Processes that fill a cache, say what they have, and are killed in the middle of it.

In: a program that is given a folder, where it starts and how far it steps, and prints a number for
each thing that is kept. Out: the process, the numbers that it said.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path


def filling(program: str, folder: Path, start: int = 0, step: int = 1) -> subprocess.Popen[str]:
    """A process that fills the cache and says what is done."""
    return subprocess.Popen(
        [sys.executable, "-c", program, str(folder), str(start), str(step)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def said_until(process: subprocess.Popen[str], lines: int) -> list[int]:
    assert process.stdout is not None
    return [int(process.stdout.readline()) for _ in range(lines)]


def killed(process: subprocess.Popen[str]) -> list[int]:
    """Kill it with no chance to tidy up; what it had said before."""
    assert process.stdout is not None
    process.send_signal(signal.SIGKILL)
    said = process.stdout.read()  # of the same buffer as the lines before
    whole = said[: said.rfind("\n") + 1]
    return [int(line) for line in whole.split()]
