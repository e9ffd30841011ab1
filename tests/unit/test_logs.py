"""Logs for machines: every line an object, and nothing that steers a terminal."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.unit.test_observer import Clock
from vdbcluster.adapters.telemetry.logs import open_log, say_again
from vdbcluster.cli import ending
from vdbcluster.cli.ending import say_last
from vdbcluster.cli.logs import LogObserver, observer_of
from vdbcluster.cli.observer import EVERY, TerminalObserver
from vdbcluster.config.settings import load_settings


@pytest.fixture(autouse=True)
def _nobody_set() -> Iterator[None]:
    """Whoever writes the last line of a command is set for a whole process."""
    ending._said_by.clear()
    yield
    ending._said_by.clear()


def parsed(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_stages_notes_and_warnings_are_lines_of_the_run(capfd: pytest.CaptureFixture[str]) -> None:
    settings = load_settings(
        {"milvus": {"collection": "docs"}, "telemetry": {"log_format": "json"}}
    )
    observer = observer_of(settings, "run", "r1")
    with observer.stage("read", 10) as progress:
        progress.advance(10)
    observer.note("a note")
    observer.warn("a warning")
    assert say_last("the end", 4)
    said = parsed(capfd.readouterr().err)
    assert {(line["job"], line["command"], line["run_id"]) for line in said} == {
        ("docs", "run", "r1")
    }
    assert [(line["level"], line["event"], line.get("message")) for line in said] == [
        ("info", "stage", None),
        ("info", "note", "a note"),
        ("warning", "warning", "a warning"),
        ("error", "error", "the end"),
    ]
    assert (said[0]["stage"], said[0]["done"], said[0]["unit"]) == ("read", 10, "rows")
    assert said[3]["exit_code"] == 4


@pytest.mark.parametrize("form", ["auto", "text"])
def test_for_people_nothing_is_json(form: str) -> None:
    observer = observer_of(load_settings({"telemetry": {"log_format": form}}), "run")
    assert isinstance(observer, TerminalObserver)
    assert not say_last("the end", 1)


def test_a_long_stage_says_now_and_then_how_far_it_is() -> None:
    stream, clock = io.StringIO(), Clock()
    observer = LogObserver(open_log("json", stream), clock)
    with observer.stage("search", 100) as progress:
        progress.detail("eagerly")
        progress.advance(10)
        clock.now += EVERY
        progress.advance(10)
        progress.advance(10)
        clock.now += EVERY
        progress.advance(70)
    first, last = parsed(stream.getvalue())
    assert (first["event"], first["stage"], first["message"]) == ("progress", "search", "eagerly")
    assert (first["done"], first["total"]) == (20, 100)
    assert (last["event"], last["done"], last["seconds"]) == ("stage", 100, 2 * EVERY)


def test_a_stage_that_fails_has_no_end() -> None:
    stream = io.StringIO()
    with pytest.raises(ZeroDivisionError), LogObserver(open_log("json", stream)).stage("x", 1):
        raise ZeroDivisionError
    assert stream.getvalue() == ""


def test_a_log_line_is_one_object_in_order() -> None:
    stream = io.StringIO()
    log = open_log("json", stream, job="news").bind(run_id="r1")
    log.warning("warning", message="tab\t, esc \x1b[31m, line\nbreak, ü", rows=3)
    say_again(log, {"time": "then", "level": "error", "event": "error", "message": "gone"})
    first, second = stream.getvalue().splitlines()
    assert first.isascii()
    assert first.isprintable()
    told = json.loads(first)
    assert list(told) == ["time", "level", "job", "run_id", "event", "message", "rows"]
    assert datetime.fromisoformat(told["time"]).tzinfo is not None
    assert told["level"] == "warning"
    assert told["message"] == "tab\t, esc \x1b[31m, line\nbreak, ü"
    assert json.loads(second) == {
        "time": "then",
        "level": "error",
        "job": "news",
        "run_id": "r1",
        "event": "error",
        "message": "gone",
    }


def test_a_log_for_people_is_one_printable_line() -> None:
    stream = io.StringIO()
    log = open_log("text", stream, job="news")
    log.info("ended", message="all\x1b[31m is\nwell", rows=3)
    (line,) = stream.getvalue().splitlines()
    assert line.isprintable()
    assert line.endswith("info     news ended all\\x1b[31m is\\nwell rows=3")
