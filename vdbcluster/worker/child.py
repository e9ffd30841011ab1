"""One command of one job in a process of its own.

    child = await start(job, "run", log)
    outcome = await child.outcome()      # child.interrupt(), child.kill() meanwhile

In: a job, a command. Out: an ``Outcome``, and each line of the child's log passed on.
Promise: memory goes back with the process, a crash harms nobody else. Settings, secrets among them,
go by the environment, which no other user can read, never by the command line. The child ends if
the worker is gone: its standard input is a pipe that nobody writes to.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, SecretStr

from vdbcluster.adapters.telemetry.logs import Log, say_again
from vdbcluster.config.settings import ENV_PREFIX, Settings
from vdbcluster.model.outcome import Outcome
from vdbcluster.wiring.telemetry import outcome_of
from vdbcluster.worker.jobs import Job

LINE_LIMIT = 1 << 20
INTERRUPTED = 130
PROGRAM = "vdbcluster: "
"""What the last line of a command begins with, where it is an error."""
OWN = ("worker", "dense", "ingest", "source", "embed")
"""Sections that no command of a job reads."""


async def start(job: Job, command: str, log: Log) -> Child:
    """Start ``command`` under the settings of ``job``; ``OSError`` if no process can be had."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vdbcluster.cli.child", command, "--json"),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env=dict(environment(job.settings)),
        start_new_session=True,  # Ctrl-C in a terminal is for the worker, which decides
        limit=LINE_LIMIT,
    )
    return Child(job, command, log, process)


def environment(settings: Settings) -> Iterator[tuple[str, str]]:
    """Our own environment with these settings in place of those it holds: JSON by section."""
    for name, value in os.environ.items():
        if not name.upper().startswith(ENV_PREFIX):
            yield name, value
    quiet = {"log_format": "json", "webhook": "", "pushgateway": "", "metrics_file": None}
    for section in Settings.model_fields:
        if section not in OWN:
            values = _plain(getattr(settings, section))
            # The worker tells of every end, also of that of a child that was killed.
            told = values | quiet if section == "telemetry" else values
            yield f"{ENV_PREFIX}{section.upper()}", json.dumps(told)


def _plain(section: BaseModel) -> dict[str, Any]:
    """JSON values, with what is secret shown."""
    secrets = {
        name: value.get_secret_value() for name, value in section if isinstance(value, SecretStr)
    }
    return section.model_dump(mode="json") | secrets


class Child:
    """See the module."""

    def __init__(self, job: Job, command: str, log: Log, process: Process) -> None:
        self.job, self.command = job, command
        self.run_id = ""
        self._log, self._process = log, process
        self._start = time.monotonic()
        self._last = ""
        self._stopped = False

    @property
    def pid(self) -> int:
        return self._process.pid

    async def outcome(self) -> Outcome:
        """Wait for the end."""
        assert self._process.stdout is not None
        told, _ = await asyncio.gather(self._process.stdout.read(), self._listen())
        code = await self._process.wait()
        record = _record(told)
        return outcome_of(
            self.job.settings,
            self.command,
            exit_code=INTERRUPTED if code < 0 and self._stopped else code,
            seconds=time.monotonic() - self._start,
            run_id=str(record.get("run_id", "")) if record else self.run_id,
            message=self._message(code),
            record=record,
        )

    def interrupt(self) -> None:
        """Ask it to end; what it has written so far stays, and the next run finishes it."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        self._stopped = True
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        while True:
            try:
                line = await self._process.stderr.readline()
            except ValueError:  # longer than the limit; what is left of it comes next
                continue
            if not line:
                return
            if text := line.decode("utf-8", "replace").rstrip():
                self._pass_on(text)

    def _pass_on(self, text: str) -> None:
        """A line of JSON as it is; any other, as of a crash, as a message."""
        said = _parsed(text) or {"level": "warning", "event": "output", "message": text}
        self.run_id = str(said.get("run_id") or self.run_id)
        told = str(said.get("message", ""))
        if said.get("event") in ("error", "output") and any(map(str.isalnum, told)):
            self._last = told
        say_again(self._log, {"job": self.job.name, "command": self.command, **said})

    def _message(self, code: int) -> str:
        if code == 0 or self._stopped:
            return ""
        if code < 0:
            why = " (out of memory?)" if code == -signal.SIGKILL else ""
            return f"ended by signal {-code}{why}"
        return self._last.removeprefix(PROGRAM) or f"ended with exit code {code}"


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _record(told: bytes) -> Mapping[str, Any] | None:
    """The manifest that a command printed; None if it printed none, or was cut off."""
    return _parsed(told.decode("utf-8", "replace")) if told else None
