"""Settings of telemetry: how a command logs, and who is told of its end.

In: values of the ``telemetry`` section. Out: a frozen ``TelemetrySettings``.
Promise: addresses, which may carry a password or be one, are secrets: in no record, no ``repr``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from vdbcluster.config.base import Section, setting

LogFormat = Literal["auto", "text", "json"]
Occasion = Literal["refused", "failed", "emerged", "done"]


class TelemetrySettings(Section):
    """Telemetry: how a run logs, and whom it tells how it ended."""

    log_format: LogFormat = setting(
        "auto",
        "Progress and warnings on standard error: text, or json, one object a line; auto: json "
        "for the worker, else text.",
    )
    job: str = setting(
        "", "Name of the job in logs, metrics and webhooks; default the collection.", "--job-name"
    )
    metrics_file: Path | None = setting(
        None, "Write metrics for the textfile collector of Prometheus to this file (*.prom)."
    )
    pushgateway: SecretStr = setting(
        SecretStr(""), "URL of a Prometheus Pushgateway that gets the metrics."
    )
    webhook: SecretStr = setting(SecretStr(""), "URL that gets a JSON POST; see --webhook-on.")
    webhook_on: tuple[Occasion, ...] = setting(
        ("refused", "failed", "emerged"),
        "What the webhook is told: refused, failed, emerged (new clusters among new rows), done; "
        "repeatable.",
    )
