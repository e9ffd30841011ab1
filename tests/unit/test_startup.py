"""What a command loads before it has said a word: nothing that takes long and may not be needed."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("numba", "scipy", "sklearn", "pandas", "pymilvus", "distributed")
"""A tenth of a second each, and up to a second; ``pymilvus`` is loaded to connect."""


def test_commands_and_the_main_job_load_nothing_heavy() -> None:
    code = (
        "import sys, vdbcluster.cli.app, vdbcluster.wiring.main_job\n"
        f"print(*(name for name in {HEAVY!r} if name in sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
