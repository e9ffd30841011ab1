"""``vdbcluster worker`` as a process, for tests.

    with WorkerProcess(folder, "-c", "docs", "--every", "5s") as worker:
        worker.wait_for("ended", job="docs")
        worker.get("/metrics")

In: arguments, a folder to work in. Out: every line that it logs, parsed. Promise: it listens on a
free port of 127.0.0.1; what is waited for comes within ``PATIENCE`` seconds, or the test fails with
the log; nothing of it is left when its context ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE = 120.0
Line = dict[str, Any]


class WorkerProcess:
    """See the module."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.lines: list[Line] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vdbcluster.cli.main", "worker", "--port", "0", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=folder,
            env={k: v for k, v in os.environ.items() if not k.startswith("VDBCLUSTER__")}
            | environment,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            try:
                self.lines.append(json.loads(line))
            except ValueError:  # the test that looks at the log tells
                self.lines.append({"event": "no JSON", "message": line.decode()})

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()

    def all(self, event: str, **fields: Any) -> list[Line]:
        """What it has said so far of this kind."""
        wanted = {"event": event, **fields}
        return [line for line in list(self.lines) if wanted.items() <= line.items()]

    def wait_for(self, event: str, count: int = 1, **fields: Any) -> list[Line]:
        """Until it has said so many of this kind."""
        self.until(lambda: len(self.all(event, **fields)) >= count, f"{count} {event} {fields}")
        return self.all(event, **fields)

    def until(self, true: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not true():
            if time.monotonic() > deadline:
                raise AssertionError(f"no {what} in {PATIENCE:.0f} s: {self.lines[-20:]}")
            if self._process.poll() is not None and not self._reader.is_alive() and not true():
                raise AssertionError(f"it ended before {what}: {self.lines[-20:]}")
            time.sleep(0.05)

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page."""
        (started,) = self.wait_for("started")
        try:
            with urllib.request.urlopen(started["url"] + path, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self.ended()

    def ended(self) -> int:
        """Wait for the end; its exit code."""
        code = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert self._process.stderr is not None
        self._process.stderr.close()
        return code
