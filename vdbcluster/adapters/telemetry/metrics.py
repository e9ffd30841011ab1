"""The figures of runs as Prometheus metrics.

    metrics = RunMetrics(CollectorRegistry())
    metrics.observe(outcome)

In: outcomes. Out: gauges of the last run of each job and command, all named ``vdbcluster_...`` with
labels ``job_name`` and ``command``. Promise: what a run did not measure is absent, not zero.
"""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Gauge

from vdbcluster.model.outcome import Outcome

LABELS = ("job_name", "command")
LAST_SUCCESS = "vdbcluster_last_success_timestamp_seconds"
FIGURES = {
    "rows": ("vdbcluster_rows", "Rows that were clustered or judged."),
    "clusters": ("vdbcluster_clusters", "Clusters found."),
    "noise_share": ("vdbcluster_noise_ratio", "Share of the rows that is noise."),
    "changed": ("vdbcluster_changed_rows", "Rows whose labels the run changes."),
    "moved": ("vdbcluster_moved_rows", "Labelled rows that change cluster."),
    "recall": ("vdbcluster_neighbor_recall_ratio", "Recall of the neighbour search, audited."),
    "emerged": ("vdbcluster_emerged_clusters", "Clusters that formed among new rows."),
}


class RunMetrics:
    """Gauges of last runs in a registry; each job and command overwrites its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, told: str, *more: str) -> Gauge:
            return Gauge(name, told, (*LABELS, *more), registry=registry)

        self._ended = gauge("vdbcluster_last_run_timestamp_seconds", "When the last run ended.")
        self._succeeded = gauge(LAST_SUCCESS, "When a run last ended well.")
        self._code = gauge(
            "vdbcluster_last_exit_code",
            "0 done, 1 error, 2 usage, 3 changes, 4 refused, 5 locked, 130 interrupted.",
        )
        self._seconds = gauge("vdbcluster_run_seconds", "Seconds that the last run took.")
        self._stages = gauge("vdbcluster_stage_seconds", "Seconds by stage.", "stage")
        self._events = gauge(
            "vdbcluster_cluster_events", "Clusters by what became of them.", "event"
        )
        self._figures = {name: gauge(*told) for name, told in FIGURES.items()}
        self._held: dict[tuple[Gauge, tuple[str, str]], set[str]] = {}

    def observe(self, outcome: Outcome) -> None:
        """Take the figures of one run; those it lacks keep what an earlier run gave."""
        labels = (outcome.job, outcome.command)
        self._ended.labels(*labels).set(outcome.finished.timestamp())
        self._code.labels(*labels).set(outcome.exit_code)
        self._seconds.labels(*labels).set(outcome.seconds)
        if outcome.succeeded:
            self.succeeded(*labels, outcome.finished.timestamp())
        figures = outcome.figures
        for name, gauge in self._figures.items():
            if (value := getattr(figures, name)) is not None:
                gauge.labels(*labels).set(value)
        self._several(self._stages, labels, figures.seconds)
        self._several(self._events, labels, figures.events)

    def succeeded(self, job: str, command: str, moment: float) -> None:
        """When a run last ended well, also one of before this process."""
        self._succeeded.labels(job, command).set(moment)

    def _several(self, gauge: Gauge, labels: tuple[str, str], values: Mapping[str, float]) -> None:
        """Values by a third label; one that the last run had and this one lacks goes."""
        if not values:
            return
        held = self._held.setdefault((gauge, labels), set())
        for gone in held - values.keys():
            gauge.remove(*labels, gone)
        for name, value in values.items():
            gauge.labels(*labels, name).set(value)
        self._held[gauge, labels] = set(values)
