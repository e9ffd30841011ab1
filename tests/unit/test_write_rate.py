"""How fast labels are written is said by whoever writes them, not by whoever planned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from vdbcluster.adapters.throttled import Throttle
from vdbcluster.cli.app import app
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.errors import UsageError
from vdbcluster.model.manifest import RunManifest
from vdbcluster.wiring.named import throttle
from vdbcluster.wiring.recorded import recorded_settings

SERVER = {"uri": "http://127.0.0.1:19530"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def said(**write: Any) -> Settings:
    return load_settings({"milvus": SERVER, "write": write})


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "0.5", "fast", ""])
def test_what_is_no_rate_is_refused_in_one_line(value: str) -> None:
    with pytest.raises(UsageError, match=r"write\.rate") as refused:
        said(rate=value)
    assert "\n" not in str(refused.value)
    assert repr(value) in str(refused.value)


@pytest.mark.parametrize(
    ("value", "rate"), [(None, "none"), ("none", "none"), ("auto", "auto"), ("2500", 2500.0)]
)
def test_what_may_be_said(value: str | None, rate: object) -> None:
    assert throttle(said(rate=value)) == Throttle(rate)  # type: ignore[arg-type]


def test_workers_share_a_rate_and_nobody_reads_a_lite_file_beside_us() -> None:
    assert throttle(said(rate="3000"), writers=3, usual=0.2) == Throttle(1000.0, 0.2)
    assert throttle(said(rate="auto"), writers=3, usual=0.2) == Throttle("auto", 0.2)
    lite = load_settings({"milvus": {"uri": "docs.db"}, "write": {"rate": "auto"}})
    assert throttle(lite).rate == "none"
    lite = load_settings({"milvus": {"uri": "docs.db"}, "write": {"rate": 500}})
    assert throttle(lite).rate == 500.0


@pytest.mark.parametrize(("now", "rate"), [({}, "auto"), ({"rate": "100"}, 100.0)])
def test_a_plan_is_written_as_fast_as_is_said_when_it_is_written(
    now: dict[str, str], rate: object
) -> None:
    then = {"write": said(rate="auto", adopt=True).write.model_dump(mode="json")}
    manifest = RunManifest(
        run_id="r",
        collection="docs",
        identity="1",
        selection={"server": SERVER["uri"], "vector_field": "vector"},
        settings=then,
        versions={},
        state="planned",
    )
    write = recorded_settings(manifest, said(**now)).write
    assert write.rate == rate
    assert write.adopt


@pytest.mark.parametrize(
    "command", ["run", "plan", "apply", "rollback", "assign", "serve", "worker"]
)
def test_all_who_write_take_it(command: str) -> None:
    shown = CliRunner(env={"COLUMNS": "300", "TERM": "dumb"}).invoke(app, [command, "--help"])
    assert "--write-rate" in shown.output
