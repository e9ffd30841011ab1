"""``vdbcluster serve`` as a process, for tests.

    with ServeProcess(folder, "-c", "docs", "--uri", uri) as served:
        served.get("/api/clusters")

In: arguments, a folder to work in. Out: answers, and what it said. Promise: it listens on a free
port of 127.0.0.1 and answers when the context begins; nothing of it is left when that ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

PATIENCE = 120.0


class ServeProcess:
    """See the module. ``said``: lines on standard error."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.said: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vdbcluster.cli.main", "serve", "--port", "0", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={k: v for k, v in os.environ.items() if not k.startswith("VDBCLUSTER__")}
            | environment,
        )
        threading.Thread(target=self._read, daemon=True).start()
        watch = threading.Timer(PATIENCE, self._process.kill)
        watch.start()
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        watch.cancel()
        assert self.url.startswith("http://127.0.0.1:"), "\n".join(self.said)

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.said.append(line.rstrip())

    def ask(self, path: str, **params: Any) -> tuple[int, Any]:
        """Status and JSON."""
        query = urllib.parse.urlencode(params, doseq=True)
        try:
            with urllib.request.urlopen(f"{self.url[:-1]}{path}?{query}", timeout=60) as answer:
                return int(answer.status), json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def get(self, path: str, **params: Any) -> Any:
        status, found = self.ask(path, **params)
        assert status == 200, (path, found)
        return found

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code."""
        self._process.send_signal(how)
        return self._process.wait(PATIENCE)

    def __enter__(self) -> ServeProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
