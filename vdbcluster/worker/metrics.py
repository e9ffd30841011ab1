"""What a worker counts, beside the figures of its runs.

In: starts, skips, outcomes. Out: metrics in a registry, see ``adapters.telemetry.metrics``.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics

from vdbcluster.adapters.telemetry.metrics import LABELS, RunMetrics
from vdbcluster.model.outcome import Ending, Outcome
from vdbcluster.worker.agenda import Entry


class WorkerMetrics:
    """Counters begin at 0 for every job, so that the first failure is seen as an increase."""

    def __init__(self, registry: CollectorRegistry, entries: Iterable[Entry]) -> None:
        # A series more for each counter, of use to nobody here.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.last = RunMetrics(registry)
        self._runs = Counter(
            "vdbcluster_runs", "Commands ended.", (*LABELS, "outcome"), registry=registry
        )
        self._missed = Counter(
            "vdbcluster_missed_runs",
            "Times of the schedule at which nothing was started.",
            LABELS,
            registry=registry,
        )
        self._next = Gauge(
            "vdbcluster_next_run_timestamp_seconds", "Next time.", LABELS, registry=registry
        )
        self._running = Gauge(
            "vdbcluster_running", "1 while it is under way.", LABELS, registry=registry
        )
        for entry in entries:
            self._missed.labels(entry.job, entry.command)
            self._running.labels(entry.job, entry.command)
            for ending in Ending:
                self._runs.labels(entry.job, entry.command, ending.value)

    def started(self, job: str, command: str) -> None:
        self._running.labels(job, command).set(1)

    def ended(self, outcome: Outcome) -> None:
        self._running.labels(outcome.job, outcome.command).set(0)
        self._runs.labels(outcome.job, outcome.command, outcome.ending.value).inc()
        self.last.observe(outcome)

    def missed(self, job: str, command: str, times: int) -> None:
        self._missed.labels(job, command).inc(times)

    def due(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._next.labels(entry.job, entry.command).set(entry.due.timestamp())
