"""The README is true: its programs run, its options exist, its fields are written."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient
from typer.testing import CliRunner

from vdbcluster.cli.app import app
from vdbcluster.config.settings import Settings
from vdbcluster.model.labels import LabelFields

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
RUN = "<!-- run by tests/integration/test_readme.py -->\n```python\n"


def programs() -> list[str]:
    return [part.split("```", 1)[0] for part in README.split(RUN)[1:]]


def make_docs(path: str) -> None:
    rng = np.random.default_rng(0)
    centers = rng.normal(0, 3, (4, 16))
    vectors = np.concatenate([rng.normal(c, 0.4, (60, 16)) for c in centers]).astype(np.float32)
    client = MilvusClient(path)
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=16)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="COSINE")
    client.create_collection("docs", schema=schema, index_params=index)
    client.insert("docs", [{"id": i, "vector": v} for i, v in enumerate(vectors)])
    client.close()


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


def test_every_option_of_the_readme_is_one_of_run() -> None:
    shown = CliRunner(env={"COLUMNS": "300", "TERM": "dumb"}).invoke(app, ["run", "--help"]).output
    foreign = {"--json", "--allow-full-upsert"}
    for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) - foreign:
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
    assert f"| `--min-cluster-size` | {settings.cluster.min_cluster_size} |" in README
    assert f"| `--min-samples` | {settings.cluster.min_samples} |" in README
    assert f"| `--n-neighbors` | {settings.n_neighbors} |" in README
