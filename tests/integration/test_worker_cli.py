"""``vdbcluster worker`` before anything is started: what it refuses and what it shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.in_process import vdbcluster as here
from tests.integration.test_cli import vdbcluster

TOKEN = "a-very-secret-token"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--cron", "0 3 * * *"], "no collection was named"),
        (["-c", "docs"], "it has no schedule"),
        (["--jobs", "no.toml"], "the jobs file no.toml does not exist"),
        (["--jobs", "no.toml", "--assign-every", "5s"], "--jobs and --assign-every"),
        (["-c", "docs", "--every", "1d", "--webhook", f"x/{TOKEN}"], "telemetry.webhook is no"),
        (["-c", "docs", "--every", "1d", "--uri", "http://h:x"], "the address of a Milvus server"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, arguments: list[str], told: str) -> None:
    done = here(tmp_path, "worker", *arguments)
    assert done.returncode == 2, done.stderr
    assert told in done.stderr
    assert TOKEN not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_address_of_another_machine_is_one_line(tmp_path: Path) -> None:
    """In a process of its own, as it has begun when it is told."""
    done = vdbcluster(tmp_path, "worker", "-c", "docs", "--every", "1d", "--host", "256.0.0.1")
    assert done.returncode == 2, done.stderr
    assert "nothing can listen on" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_check_shows_the_next_times_and_starts_nothing(tmp_path: Path) -> None:
    schedule = ("--cron", "0 3 * * *", "--assign-every", "10m", "--timezone", "Asia/Tokyo")
    done = here(tmp_path, "worker", "-c", "docs", *schedule, "--check")
    assert done.returncode == 0, done.stderr
    job, run, assign = done.stdout.splitlines()
    assert job == "docs: docs"
    assert run.split()[0] == "run"
    assert run.count(" 18:00:00+00:00") == 3
    assert assign.count("0:00+00:00") == 3
    assert list(tmp_path.iterdir()) == []
