"""The README is true: its programs run, its options exist, its fields are written."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.integration.docs import make_docs
from vdbcluster.cli.app import app
from vdbcluster.config.settings import Settings
from vdbcluster.model.labels import LabelFields

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
RUN = "<!-- run by tests/integration/test_readme.py -->\n```python\n"


def programs() -> list[str]:
    return [part.split("```", 1)[0] for part in README.split(RUN)[1:]]


@pytest.mark.parametrize("number", range(len(programs())))
def test_programs_run(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    program = programs()[number]
    if "docs.db" in program:
        make_docs("docs.db")
    exec(compile(program, f"README program {number}", "exec"), {})
    printed = capsys.readouterr().out
    if "docs.db" in program:
        assert printed == "4 0\n240 0\n" or re.fullmatch(r"4 \d+\n240 0\n", printed)
    else:
        assert printed


def test_there_are_programs() -> None:
    assert len(programs()) == 2


@pytest.mark.parametrize("command", ["run", "inspect", "demo"])
def test_options_exist(command: str) -> None:
    shown = CliRunner(env={"COLUMNS": "300", "TERM": "dumb"}).invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert "Example: vdbcluster" in shown.output


def test_every_option_of_the_readme_exists() -> None:
    commands = [
        command.name or command.callback.__name__
        for command in app.registered_commands
        if command.callback
    ]
    runner = CliRunner(env={"COLUMNS": "300", "TERM": "dumb"})
    shown = "".join(runner.invoke(app, [command, "--help"]).output for command in commands)
    for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)):
        assert option in shown or f"`{option}" not in README, option


def test_the_table_of_fields_is_true() -> None:
    for name in LabelFields().names:
        assert f"| `{name}` |" in README


def test_the_settings_file_of_the_readme_is_valid() -> None:
    block = re.search(r"```toml\n(.*?)```", README, re.DOTALL)
    assert block
    settings = Settings(**tomllib.loads(block[1]))
    assert settings.cluster.min_cluster_size == 25


def test_defaults_of_the_readme_are_true() -> None:
    settings = Settings()
    sections = (settings.cluster, settings.neighbors, settings.gate, settings.scale)
    told = re.findall(r"^\| `--([a-z-]+)` \| ([^|]*) \|", README, re.MULTILINE)
    assert len(told) > 5
    for option, default in told:
        name = {"neighbors": "engine"}.get(option, option.replace("-", "_"))
        found = [getattr(s, name) for s in sections if hasattr(s, name)]
        assert default.strip("` ") in {*map(str, found), "off" if False in found else ""}, option
