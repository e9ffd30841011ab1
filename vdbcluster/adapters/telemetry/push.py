"""Metrics of a command that ends, left where Prometheus finds them.

    write_textfile(Path("/var/lib/node_exporter/news.prom"), outcome)
    push("http://pushgateway:9091", outcome)

In: an outcome. Out: a file for the textfile collector, or a POST to a Pushgateway.
Promise: the file is replaced as a whole and several jobs may share it; a run that fails does not
take away when one last ended well. Raises ``OSError`` with no password in its message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from urllib.parse import unquote, urlsplit

from prometheus_client import CollectorRegistry, write_to_textfile
from prometheus_client.exposition import basic_auth_handler, default_handler, pushadd_to_gateway
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from vdbcluster.adapters.telemetry.metrics import LAST_SUCCESS, RunMetrics
from vdbcluster.model.outcome import Outcome

TIMEOUT = 10.0
Headers = list[tuple[str, str]]
_writing = Lock()


def write_textfile(path: Path, outcome: Outcome) -> None:
    """Replace ``path`` by the metrics of this command and what it held of others."""
    registry = CollectorRegistry()
    metrics = RunMetrics(registry)
    own = (outcome.job, outcome.command)
    with _writing:
        held = [sample for family in _families(path) for sample in family.samples]
        for sample in held:
            if sample.name == LAST_SUCCESS and _owner(sample) == own:
                metrics.succeeded(*own, sample.value)
        metrics.observe(outcome)
        others = [sample for sample in held if _owner(sample) != own]
        write_to_textfile(str(path), _Together(registry, others))


def _owner(sample: Sample) -> tuple[str, str]:
    return sample.labels.get("job_name", ""), sample.labels.get("command", "")


@dataclass(frozen=True, slots=True)
class _Together(Collector):
    """Metrics of a registry, with samples of others among those of the same name."""

    registry: CollectorRegistry
    others: list[Sample]

    def collect(self) -> Iterator[Metric]:
        for family in self.registry.collect():
            family.samples += [sample for sample in self.others if sample.name == family.name]
            yield family


def _families(path: Path) -> list[Metric]:
    """What the file holds now; nothing, if it is not there or is none of ours."""
    try:
        return list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return []


def push(url: str, outcome: Outcome) -> None:
    """Add to the group of this job and command at a Pushgateway."""
    registry = CollectorRegistry()
    RunMetrics(registry).observe(outcome)
    parts = urlsplit(url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    user, password = unquote(parts.username or ""), unquote(parts.password or "")

    def handler(
        url: str, method: str, timeout: float | None, headers: Headers, data: bytes
    ) -> Callable[[], None]:
        return basic_auth_handler(url, method, timeout, headers, data, user, password)

    pushadd_to_gateway(
        bare,
        "vdbcluster",
        registry,
        {"job_name": outcome.job, "command": outcome.command},
        timeout=TIMEOUT,
        handler=handler if user else default_handler,
    )
