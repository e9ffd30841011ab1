"""Telling others: metrics that Prometheus reads, webhooks that arrive, and what never happens."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from tenacity import wait_none

from tests.backends import free_port
from tests.listener import Listener
from tests.unit.outcomes import MANIFEST, outcome, samples
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.adapters.telemetry.webhook import WebhookError, post
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.errors import LockedError, RefusedError, UsageError, VdbclusterError
from vdbcluster.model.outcome import Ending, Figures, Outcome
from vdbcluster.wiring.telemetry import check_telemetry, report, reported


def settings(**telemetry: Any) -> Settings:
    return load_settings({"milvus": {"collection": "docs"}, "telemetry": telemetry})


@pytest.mark.parametrize("trouble", [503, 429, 0])
def test_a_webhook_is_told_in_the_end(trouble: int) -> None:
    with Listener([trouble, trouble, 200]) as listener:
        post(f"{listener.url}/hook", {"event": "done"}, wait_none())
    assert listener.paths == ["POST /hook"] * 3
    assert json.loads(listener.bodies[2]) == {"event": "done"}


@pytest.mark.parametrize(("answers", "asked"), [([500] * 9, 4), ([403], 1), ([302], 1)])
def test_a_webhook_that_cannot_be_told_is_one_line_without_its_address(
    answers: list[int], asked: int
) -> None:
    with Listener(answers) as listener, pytest.raises(WebhookError) as error:
        post(f"{listener.url}/sekrit", {}, wait_none())
    assert len(listener.paths) == asked
    assert str(answers[0]) in str(error.value)
    assert "sekrit" not in str(error.value)


@pytest.mark.parametrize(
    ("ended", "wanted", "events"),
    [
        (outcome(4, message="the gate refuses"), None, ["refused"]),
        (outcome(1, message="no server"), None, ["failed"]),
        (outcome(-9), None, ["failed"]),
        (outcome(0), None, []),
        (outcome(0), ("done",), ["done"]),
        (outcome(0, figures=Figures(emerged=2)), None, ["emerged"]),
        (outcome(0, figures=Figures(emerged=0)), None, []),
        (outcome(4), ("failed",), []),
        (outcome(5), ("refused", "failed", "done"), []),
        (outcome(130), ("refused", "failed", "done"), []),
    ],
)
def test_what_a_webhook_is_told(
    ended: Outcome, wanted: tuple[str, ...] | None, events: list[str]
) -> None:
    with Listener() as listener:
        given = {"webhook_on": wanted} if wanted else {}
        report(settings(webhook=listener.url, **given).telemetry, ended, pytest.fail)
    bodies = [json.loads(body) for body in listener.bodies]
    assert [body["event"] for body in bodies] == events
    for body in bodies:
        assert body["job"] == "news"
        assert body["collection"] == "docs"
        assert body["message"] == ended.message
        assert ended.message in body["text"]
        assert body["counts"] == ended.figures.counts()


def test_who_cannot_be_told_is_a_warning_without_secrets(tmp_path: Path) -> None:
    nowhere = f"http://me:sekrit@127.0.0.1:{free_port()}"
    (tmp_path / "x.prom").mkdir()
    said: list[str] = []
    report(
        settings(metrics_file=tmp_path / "x.prom", pushgateway=nowhere).telemetry,
        outcome(),
        said.append,
    )
    assert len(said) == 2
    assert "x.prom" in said[0]
    assert "127.0.0.1" in said[1]
    assert "sekrit" not in "".join(said)


@pytest.mark.parametrize("name", ["webhook", "pushgateway"])
@pytest.mark.parametrize("address", ["hooks.example/x", "ftp://x", "http://", "http://[x"])
def test_an_address_that_is_none_is_told_before_the_run(name: str, address: str) -> None:
    with pytest.raises(UsageError) as error:
        check_telemetry(settings(**{name: address}).telemetry)
    assert f"telemetry.{name}" in str(error.value)
    assert address not in str(error.value)


def ends_with(error: BaseException) -> Callable[[reported], None]:
    def body(_: reported) -> None:
        raise error

    return body


def gives(telling: reported) -> None:
    telling.manifest = MANIFEST


def has_changes(telling: reported) -> None:
    telling.manifest, telling.exit_code = MANIFEST, 3


@pytest.mark.parametrize(
    ("body", "ending", "code"),
    [
        (gives, Ending.DONE, 0),
        (has_changes, Ending.CHANGES, 3),
        (ends_with(RefusedError("no\n way")), Ending.REFUSED, 4),
        (ends_with(LockedError("another")), Ending.LOCKED, 5),
        (ends_with(VdbclusterError("broken")), Ending.FAILED, 1),
        (ends_with(ZeroDivisionError("x")), Ending.FAILED, 1),
        (ends_with(KeyboardInterrupt()), Ending.INTERRUPTED, 130),
        (ends_with(SystemExit(3)), Ending.CHANGES, 3),
    ],
)
def test_a_command_is_reported_however_it_ends(
    tmp_path: Path, body: Callable[[reported], None], ending: Ending, code: int
) -> None:
    file = tmp_path / "x.prom"
    fine = body in (gives, has_changes)
    with (
        nullcontext() if fine else pytest.raises(BaseException),
        reported(settings(metrics_file=file, job="news"), "run", pytest.fail) as telling,
    ):
        body(telling)
    found = samples(file.read_text())
    assert found["last_exit_code",] == code
    assert (("last_success_timestamp_seconds",) in found) == (
        ending in (Ending.DONE, Ending.CHANGES)
    )


def test_a_refused_run_is_reported_with_what_its_record_holds(tmp_path: Path) -> None:
    RunDirectory(tmp_path / "runs").save(MANIFEST)
    with Listener() as listener:
        given = load_settings(
            {
                "milvus": {"collection": "docs", "token": "sekrit"},
                "run": {"runs_dir": tmp_path / "runs"},
                "telemetry": {"webhook": f"{listener.url}/hook-sekrit"},
            }
        )
        told = reported(given, "run", pytest.fail, MANIFEST.run_id)
        with pytest.raises(RefusedError), told:
            raise RefusedError("the gate refuses")
    assert "sekrit" not in repr(given)
    assert "sekrit" not in given.model_dump_json()
    (body,) = listener.bodies
    assert b"sekrit" not in body
    said = json.loads(body)
    assert (said["event"], said["job"], said["run_id"]) == ("refused", "docs", MANIFEST.run_id)
    assert said["counts"]["moved"] == 3
