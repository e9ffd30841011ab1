"""Metrics as Prometheus reads them, in a file, at a Pushgateway."""

from __future__ import annotations

import base64
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from tests.listener import Listener
from tests.unit.outcomes import outcome, samples
from vdbcluster.adapters.telemetry.metrics import RunMetrics
from vdbcluster.adapters.telemetry.push import push, write_textfile
from vdbcluster.model.outcome import Figures, figures_of


def test_a_textfile_is_what_prometheus_reads(tmp_path: Path) -> None:
    file = tmp_path / "news.prom"
    write_textfile(file, outcome())
    assert samples(file.read_text()) == {
        ("last_run_timestamp_seconds",): outcome().finished.timestamp(),
        ("last_success_timestamp_seconds",): outcome().finished.timestamp(),
        ("last_exit_code",): 0,
        ("run_seconds",): 12.5,
        ("stage_seconds", "read"): 1.5,
        ("stage_seconds", "cluster"): 0.5,
        ("cluster_events", "born"): 1,
        ("cluster_events", "unchanged"): 3,
        ("rows",): 200,
        ("clusters",): 4,
        ("noise_ratio",): 0.25,
        ("changed_rows",): 20,
        ("moved_rows",): 3,
        ("neighbor_recall_ratio",): 0.97,
    }
    assert [path.name for path in tmp_path.iterdir()] == ["news.prom"]


def test_a_failure_does_not_take_away_the_last_success(tmp_path: Path) -> None:
    file = tmp_path / "news.prom"
    write_textfile(file, outcome(0, minute=1))
    write_textfile(file, outcome(4, minute=2, figures=Figures()))
    found = samples(file.read_text())
    assert found["last_success_timestamp_seconds",] == outcome(minute=1).finished.timestamp()
    assert found["last_run_timestamp_seconds",] == outcome(minute=2).finished.timestamp()
    assert found["last_exit_code",] == 4
    assert ("rows",) not in found


def test_an_assignment_tells_of_its_rows_and_of_what_emerged() -> None:
    facts = {
        "assign": {"rows": 8, "noise": 2},
        "emergence": {"clusters": 1},
        "plan": {"changed": 6},
    }
    found = figures_of({"facts": facts, "seconds": {"assign": 0.5}})
    assert found.counts() == {"rows": 8, "noise_share": 0.25, "changed": 6, "emerged": 1}
    assert figures_of({"facts": {"assign": {"rows": 0}}}).counts() == {"rows": 0}
    assert figures_of({}).counts() == {}


def test_jobs_may_share_a_textfile(tmp_path: Path) -> None:
    file = tmp_path / "all.prom"
    write_textfile(file, outcome(minute=1, job="old"))
    write_textfile(file, outcome(minute=2, command="assign"))
    write_textfile(file, outcome(4, minute=3))
    write_textfile(file, outcome(minute=4))
    families = list(text_string_to_metric_families(file.read_text()))
    ended = {
        (sample.labels["job_name"], sample.labels["command"]): sample.value
        for family in families
        for sample in family.samples
        if sample.name == "vdbcluster_last_run_timestamp_seconds"
    }
    assert ended == {
        (job, command): outcome(minute=minute).finished.timestamp()
        for job, command, minute in (("old", "run", 1), ("news", "assign", 2), ("news", "run", 4))
    }
    assert len({family.name for family in families}) == len(families)


def test_a_file_that_is_no_metrics_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "news.prom"
    file.write_text("{what is this")
    write_textfile(file, outcome())
    assert samples(file.read_text())["rows",] == 200


def test_an_event_that_does_not_come_again_goes() -> None:
    registry = CollectorRegistry()
    metrics = RunMetrics(registry)
    metrics.observe(outcome())
    metrics.observe(outcome(figures=Figures(events={"died": 2})))
    metrics.observe(outcome(4, figures=Figures()))
    found = {
        sample.labels["event"]: sample.value
        for family in registry.collect()
        for sample in family.samples
        if "event" in sample.labels
    }
    assert found == {"died": 2}


def test_a_pushgateway_gets_the_metrics_of_the_job() -> None:
    with Listener() as listener:
        push(f"http://me:pass%40word@127.0.0.1:{listener.port}", outcome())
    assert listener.paths == ["POST /metrics/job/vdbcluster/command/run/job_name/news"]
    assert samples(listener.bodies[0].decode())["rows",] == 200
    told = base64.b64decode(listener.headers[0]["authorization"].removeprefix("Basic "))
    assert told == b"me:pass@word"
