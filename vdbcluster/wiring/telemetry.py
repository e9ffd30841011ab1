"""Telling others how a command ended.

    with reported(settings, "run", observer.warn, run_id) as report:
        report.manifest = run_job(settings, observer, run_id=run_id)

In: ``TelemetrySettings``, an ``Outcome``. Out: metrics file, Pushgateway, webhook, as far as they
are set. Promise: that somebody could not be told is a warning, never the failure of a run; an
address that can be none is told before the run; no secret is in what is sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from vdbcluster.config.settings import Settings
from vdbcluster.config.telemetry import Occasion, TelemetrySettings
from vdbcluster.errors import UsageError, VdbclusterError
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.outcome import Ending, Outcome, figures_of

Warn = Callable[[str], None]
OCCASIONS: Mapping[Ending, Occasion] = {
    Ending.REFUSED: "refused",
    Ending.FAILED: "failed",
    Ending.DONE: "done",
    Ending.CHANGES: "done",
}


def check_telemetry(telemetry: TelemetrySettings) -> None:
    """``UsageError`` if an address is none, or the metrics file cannot be written where it is."""
    for name in ("pushgateway", "webhook"):
        address: SecretStr = getattr(telemetry, name)
        if (url := address.get_secret_value()) and not _is_address(url):
            raise UsageError(f"the setting telemetry.{name} is no http or https URL")
    file = telemetry.metrics_file
    if file is not None and not file.parent.is_dir():
        raise UsageError(f"the metrics file {file} cannot be written: no directory {file.parent}")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def report(telemetry: TelemetrySettings, outcome: Outcome, warn: Warn) -> None:
    """Tell everybody that is to be told; ``warn`` hears what went wrong."""
    if telemetry.metrics_file is not None:
        _write(telemetry.metrics_file, outcome, warn)
    if gateway := telemetry.pushgateway.get_secret_value():
        _push(gateway, outcome, warn)
    occasions = occasions_of(outcome)
    wanted = [occasion for occasion in telemetry.webhook_on if occasion in occasions]
    if wanted and (webhook := telemetry.webhook.get_secret_value()):
        _post(webhook, body_of(outcome, wanted[0]), warn)


def occasions_of(outcome: Outcome) -> set[Occasion]:
    """What this end is an occasion of; an interrupted or locked-out run is none."""
    found = {OCCASIONS[outcome.ending]} if outcome.ending in OCCASIONS else set()
    return found | ({"emerged"} if outcome.figures.emerged else set())


def body_of(outcome: Outcome, occasion: Occasion) -> dict[str, Any]:
    """What the webhook is told; ``text`` is one line for chats."""
    name = f"{outcome.job}: {outcome.command}"
    emerged = f"{outcome.figures.emerged} new clusters emerged"
    told = emerged if occasion == "emerged" else outcome.message or outcome.ending.value
    return {
        "event": occasion,
        "text": f"vdbcluster {name}: {told}",
        "job": outcome.job,
        "command": outcome.command,
        "collection": outcome.collection,
        "run_id": outcome.run_id,
        "outcome": outcome.ending.value,
        "exit_code": outcome.exit_code,
        "message": outcome.message,
        "seconds": round(outcome.seconds, 3),
        "time": outcome.finished.isoformat(timespec="seconds"),
        "counts": outcome.figures.counts(),
    }


def _write(path: Path, outcome: Outcome, warn: Warn) -> None:
    from vdbcluster.adapters.telemetry.push import write_textfile

    try:
        write_textfile(path, outcome)
    except OSError as error:
        warn(f"the metrics file {path} was not written: {error.strerror or error}")


def _push(url: str, outcome: Outcome, warn: Warn) -> None:
    from vdbcluster.adapters.telemetry.push import push

    try:
        push(url, outcome)
    except (OSError, ValueError) as error:
        warn(f"the Pushgateway at {urlsplit(url).hostname} was not told: {error}")


def _post(url: str, body: Mapping[str, Any], warn: Warn) -> None:
    from vdbcluster.adapters.telemetry.webhook import WebhookError, post

    try:
        post(url, body)
    except WebhookError as error:
        warn(str(error))


def job_name(settings: Settings) -> str:
    """What the job is called in logs and metrics."""
    return settings.telemetry.job or settings.milvus.collection


class reported:  # noqa: N801  used as a function
    """Tell how the body ended, whichever way; an error goes on afterwards.

    The body gives ``manifest`` what it has of the run, and sets ``exit_code`` if it ends well but
    not with 0. Raises ``UsageError`` before the body for addresses that are none.
    """

    def __init__(self, settings: Settings, command: str, warn: Warn, run_id: str = "") -> None:
        check_telemetry(settings.telemetry)
        self.manifest: RunManifest | None = None
        self.exit_code = 0
        self._settings, self._command, self._warn = settings, command, warn
        self._run_id = run_id

    def __enter__(self) -> reported:
        self._start = time.monotonic()
        return self

    def __exit__(
        self, _kind: object, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        outcome = outcome_of(
            self._settings,
            self._command,
            exit_code=self.exit_code if error is None else exit_code_of(error),
            seconds=time.monotonic() - self._start,
            run_id=self.manifest.run_id if self.manifest else self._run_id,
            message=str(error) if isinstance(error, VdbclusterError) else "",
            record=self.manifest.to_json() if self.manifest else None,
        )
        report(self._settings.telemetry, outcome, self._warn)


def outcome_of(
    settings: Settings,
    command: str,
    *,
    exit_code: int,
    seconds: float,
    run_id: str,
    message: str,
    record: Mapping[str, Any] | None,
) -> Outcome:
    """The outcome of one command; ``record`` None: what the run directory holds of the run."""
    known = _recorded(settings, run_id) if record is None else record
    return Outcome(
        command=command,
        job=job_name(settings),
        collection=settings.milvus.collection,
        exit_code=exit_code,
        seconds=seconds,
        run_id=run_id,
        message=" ".join(message.split()),
        figures=figures_of(known),
    )


def _recorded(settings: Settings, run_id: str) -> Mapping[str, Any]:
    """The record of a run that did not end well, as far as it came."""
    from vdbcluster.adapters.runs import RunDirectory

    if not run_id:
        return {}
    try:
        return RunDirectory(settings.run.runs_dir).load(run_id).to_json()
    except VdbclusterError:
        return {}


def exit_code_of(error: BaseException) -> int:
    """What the command will end with."""
    if isinstance(error, KeyboardInterrupt):
        return 130
    code = getattr(error, "exit_code", getattr(error, "code", 1))
    return code if isinstance(code, int) else 1
