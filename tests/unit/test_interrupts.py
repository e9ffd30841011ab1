"""An interrupt is answered once: also in an import, and where Python drops it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

IMPORTED = """
import signal, time
signal.raise_signal(signal.{name})
for _ in range(5):
    time.sleep(0.01)
done = True
"""
COMMAND = """
import signal, sys, time
from vdbcluster.cli.interrupts import answer_interrupts

answer_interrupts()
count = 0
try:
    {body}
    end = time.monotonic() + 10
    while time.monotonic() < end:
        time.sleep(0.01)
    print("never came")
except KeyboardInterrupt:
    count += 1
    try:
        time.sleep(0.2)
    except KeyboardInterrupt:
        count += 1
print(count, "imported" in sys.modules and hasattr(sys.modules["imported"], "done"))
"""
FORGOTTEN = """
    class Last:
        def __del__(self):
            signal.raise_signal(signal.SIGTERM)
    Last()
"""


def said(folder: Path, body: str) -> tuple[str, str]:
    """What a command prints that does so; it sees modules in ``folder``."""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND.format(body=body.strip())],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip(), done.stderr


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_an_import_is_ended_first(name: str, tmp_path: Path) -> None:
    (tmp_path / "imported.py").write_text(IMPORTED.format(name=name))
    assert said(tmp_path, "import imported") == ("1 True", "")


def test_many_are_one(tmp_path: Path) -> None:
    twice = IMPORTED.replace("signal.raise_signal", "signal.raise_signal(signal.{name});" * 2 + "#")
    (tmp_path / "imported.py").write_text(twice.format(name="SIGTERM"))
    assert said(tmp_path, "import imported") == ("1 True", "")


def test_what_python_ignores_comes_again(tmp_path: Path) -> None:
    assert said(tmp_path, FORGOTTEN) == ("1 False", "")


def test_an_import_that_hangs_is_interrupted(tmp_path: Path) -> None:
    hangs = IMPORTED.format(name="SIGTERM").replace("range(5)", "range(3000)")
    (tmp_path / "imported.py").write_text(hangs)
    body = "from vdbcluster.cli import interrupts; interrupts.LONGEST = 0.1; import imported"
    assert said(tmp_path, body) == ("1 False", "")


def test_once_all_is_said_another_ends_the_process() -> None:
    code = (
        "import atexit, signal\n"
        "from vdbcluster.cli.interrupts import answer_interrupts, end_at_once\n"
        "answer_interrupts(); end_at_once(130)\n"
        "atexit.register(signal.raise_signal, signal.SIGINT)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (130, "")
