"""The command as a process of its own, as these tests need it.

In: a working directory and arguments. Out: the finished process. Promise: settings come from the
arguments and ``environment`` alone; it ends within ``LONGEST`` seconds or the test fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 240.0
"""Seconds after which a command counts as hung."""


def argv(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "vdbcluster.cli.main", *arguments]


def environment(**said: str) -> dict[str, str]:
    """That of the tests, without settings, and what is said."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith("VDBCLUSTER__")}
    return plain | {"PYTHONPATH": str(ROOT)} | said


def vdbcluster(home: Path, *arguments: str, **said: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end; ``said`` goes into its environment."""
    home.mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        argv(*arguments),
        cwd=home,
        env=environment(**said),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )


def told(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one line that a command which failed in good order ends with."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("vdbcluster: ")]
    assert len(lines) == 1, done.stderr
    assert done.stderr.rstrip().endswith(lines[0])
    return lines[0]
