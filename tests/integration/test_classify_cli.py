"""``vdbcluster classify`` as a person meets it: a run, its classifiers, files of new rows."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymilvus import DataType
from typer.testing import CliRunner

from tests import backends, data
from tests.contract.making import connection_to
from tests.silent import SILENT
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.cli.app import app
from vdbcluster.config.features import FeatureSettings
from vdbcluster.errors import VdbclusterError
from vdbcluster.features import Classifiers
from vdbcluster.pipeline.features import learn_features, save_classifiers
from vdbcluster.pipeline.record import planned

pytest.importorskip("xgboost")
NAME, INCOME = "mall", "Annual_Income_(k$)"
MEASURES = ("Age", INCOME, "Spending_Score")
Rows = list[dict[str, Any]]
Run = Callable[..., str]


def rows_of_table() -> Rows:
    """Real customers; a few have no age, income or score."""
    frame = data.table("tab_mall200.parquet").drop(columns="id").astype(object)
    return frame.where(frame.notna(), None).to_dict("records")  # type: ignore[no-any-return]


def fill(client: Any, rows: Rows) -> None:
    """One field is a column, the others are dynamic; vectors are the three measures, scaled."""
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("key", DataType.INT64, is_primary=True)
    schema.add_field("vec", DataType.FLOAT_VECTOR, dim=3)
    schema.add_field("Genre", DataType.INT64)
    index = client.prepare_index_params()
    index.add_index("vec", index_type="FLAT", metric_type="L2")
    client.create_collection(NAME, schema=schema, index_params=index)
    found = np.array([[row[name] for name in MEASURES] for row in rows], np.float64)
    scaled = (found - np.nanmean(found, axis=0)) / np.nanstd(found, axis=0)
    vectors = np.nan_to_num(scaled).astype(np.float32)
    client.insert(
        NAME,
        [
            {k: v for k, v in row.items() if v is not None} | {"key": i, "vec": vector}
            for i, (row, vector) in enumerate(zip(rows, vectors, strict=True))
        ],
    )
    client.load_collection(NAME)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A directory of runs and the id of one of real rows, with classifiers."""
    rows, home = rows_of_table(), tmp_path_factory.mktemp("classify")
    with backends.lite_file(home) as backend:
        with backends.connected(backend) as client:
            fill(client, rows)
        runs = home / "runs"
        where = ["--uri", backend.uri, "-c", NAME, "--runs-dir", str(runs)]
        done = CliRunner().invoke(app, ["run", *where, "--yes", "--json"])
        assert done.exit_code == 0, done.output
        run_id = json.loads(done.stdout)["run_id"]
        plan = planned(RunDirectory(runs).load_arrays(run_id)).new
        with connection_to(backend) as connection:
            source = MilvusSource(connection, Selection(NAME))
            learnt = learn_features(
                source, source.profile(), plan.keys, plan.cluster_id, FeatureSettings(), SILENT
            )
        assert learnt.facts["fields"] == ["Genre", "Age", INCOME, "Spending_Score"]
        save_classifiers(RunDirectory(runs), run_id, learnt.classifiers)
        yield runs, run_id


@pytest.fixture
def run(world: tuple[Path, str]) -> Run:
    def classify(*arguments: object, code: int = 0) -> str:
        given = ["classify", *map(str, arguments), "--runs-dir", str(world[0])]
        done = CliRunner().invoke(app, given)
        if isinstance(done.exception, VdbclusterError):
            assert done.exception.exit_code == code, done.exception
            assert "\n" not in str(done.exception)
            return str(done.exception)
        assert done.exit_code == code, done.output
        return done.stdout

    return classify


def write_csv(place: Path, rows: Rows) -> Path:
    with place.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return place


def write_lines(place: Path, rows: Rows) -> Path:
    place.write_text("\n".join(map(json.dumps, rows)))
    return place


def test_rows_get_the_cluster_that_they_are_like(
    world: tuple[Path, str], run: Run, tmp_path: Path
) -> None:
    rows, (runs, run_id) = rows_of_table(), world
    plan = planned(RunDirectory(runs).load_arrays(run_id)).new
    truth = plan.cluster_id[np.argsort(plan.keys)]
    write_csv(tmp_path / "a.csv", rows)
    found = json.loads(run("last", tmp_path / "a.csv", "--id-field", "CustomerID", "--json"))
    assert found["run_id"] == run_id
    assert [row["row"] for row in found["rows"]] == list(range(1, 201))
    assert [row["CustomerID"] for row in found["rows"]] == [str(row["CustomerID"]) for row in rows]
    given = np.array([row["cluster_id"] for row in found["rows"]])
    sure = given >= 0
    assert 0.6 < sure.mean() < 1
    assert (given == truth)[sure].mean() > 0.9
    for row in found["rows"]:
        assert (row["cluster_probability"] >= 0.5) == (row["cluster_id"] >= 0)


def test_every_kind_of_file_gives_the_same(run: Run, tmp_path: Path) -> None:
    rows = rows_of_table()
    assert any(row["Age"] is None for row in rows)
    write_csv(tmp_path / "a.csv", rows)
    write_lines(tmp_path / "a.jsonl", rows)
    data.table("tab_mall200.parquet").to_parquet(tmp_path / "a.parquet")
    found = []
    for kind in ("csv", "jsonl", "parquet"):
        told = run("last", tmp_path / f"a.{kind}", "-o", tmp_path / f"{kind}.out.csv")
        assert f"written to  {tmp_path / f'{kind}.out.csv'}" in told
        found.append((tmp_path / f"{kind}.out.csv").read_text())
    assert found[0] == found[1] == found[2]
    header, *lines = csv.reader(found[0].splitlines())
    assert header == ["row", "cluster_id", "cluster_probability"]
    assert len(lines) == 200
    run("last", tmp_path / "a.csv", "-o", tmp_path / "out.jsonl", "--id-field", "Genre")
    last = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert list(last[0]) == ["row", "Genre", "cluster_id", "cluster_probability"]
    assert [str(line["cluster_id"]) for line in last] == [line[1] for line in lines]


def test_a_table_for_people(run: Run, world: tuple[Path, str], tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", rows_of_table())
    told = run("last", tmp_path / "a.csv", "--threshold", "0.999")
    assert "and 180 more rows; --output FILE writes all of them" in told
    assert f"run          {world[1]}" in told
    assert "like no cluster with a probability of 0.999 or more" in told
    assert run("last", tmp_path / "a.csv", "--threshold", "0").endswith(
        "-1           0 like no cluster with a probability of 0 or more\n"
    )


ROW = {"Age": 30, INCOME: 60.5, "Genre": 1, "Spending_Score": 50}


@pytest.mark.parametrize(
    ("rows", "arguments", "code", "line"),
    [
        ([{k: v for k, v in ROW.items() if k != "Age"}], (), 2, "has no field 'Age'; it has 'An"),
        ([{"Age": 3}], (), 2, "has no field 'Genre', 'Annual_Income_(k$)', 'Spending_Score'; it"),
        ([ROW], ("--id-field", "who"), 2, "has no field 'who'; it has"),
        ([ROW, ROW | {"Age": "old"}], (), 1, "row 2: the field 'Age' holds 'old', which is no nu"),
        ([ROW | {"Genre": "1;2"}], (), 1, "row 1: the field 'Genre' holds '1;2', which is no num"),
        ([ROW], ("--output", "out.txt"), 2, "the output out.txt must end with .csv or .jsonl"),
        ([ROW], ("--output", "rows.csv", "--json"), 2, "--output and --json exclude each other"),
        ([ROW], ("--threshold", "1.5"), 2, "features.threshold is wrong"),
    ],
)
def test_what_cannot_be_classified_is_one_line(
    run: Run, tmp_path: Path, rows: Rows, arguments: tuple[str, ...], code: int, line: str
) -> None:
    for write, name in ((write_csv, "a.csv"), (write_lines, "a.jsonl")):
        told = run("last", write(tmp_path / name, rows), *arguments, code=code)
        assert line in told
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "a.jsonl"}


def test_a_failure_half_way_leaves_no_output(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Age,Genre,Spending_Score,Annual_Income_(k$)\n1,2,3,4\n1,2\n")
    told = run("last", tmp_path / "a.csv", "-o", tmp_path / "out.csv", code=1)
    assert told.endswith("a.csv (CSV): row 2: line 3 has 2 values, the header has 4 fields")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    source = write_csv(tmp_path / "b.csv", [ROW])
    assert "is the file that is read" in run("last", source, "-o", source, code=2)
    nowhere = tmp_path / "no" / "out.csv"
    assert "cannot be written: No such file" in run("last", source, "-o", nowhere, code=1)


def test_values_that_are_missing_are_no_fault(run: Run, tmp_path: Path) -> None:
    """Fields may be left empty, and lines of JSON may lack some."""
    write_lines(tmp_path / "a.jsonl", [{"Age": None, "Genre": 1}, ROW, {"Age": 20.5}])
    found = json.loads(run("last", tmp_path / "a.jsonl", "--json"))
    assert len(found["rows"]) == 3
    write_csv(tmp_path / "a.csv", [dict.fromkeys(ROW, ""), ROW | {"Age": "  "}])
    again = json.loads(run("last", tmp_path / "a.csv", "--json"))
    assert len(again["rows"]) == 2


def test_a_run_without_classifiers(world: tuple[Path, str], tmp_path: Path) -> None:
    runs, run_id = RunDirectory(tmp_path / "runs"), world[1]
    shutil.copytree(world[0], tmp_path / "runs")
    place, source = runs.path(run_id) / "classifiers.json", write_csv(tmp_path / "a.csv", [ROW])

    def told(name: str) -> str:
        given = ["classify", name, str(source), "--runs-dir", str(tmp_path / "runs")]
        done = CliRunner().invoke(app, given)
        assert isinstance(done.exception, VdbclusterError), done.output
        return str(done.exception)

    save_classifiers(runs, run_id, Classifiers((), ()))
    assert told("last") == f"the fields tell no cluster of run {run_id} apart; nothing can be told"
    place.write_text(place.read_text()[:-40])
    assert "it is no JSON; make them again with vdbcluster explain" in told(run_id[:17])
    place.write_bytes(b"\xff\xfe\x00")
    assert f"the record of the run {place} cannot be read" in told("last")
    place.unlink()
    made = f"run {run_id} has no classifiers; make them with vdbcluster explain {run_id} --features"
    assert told("last") == told(run_id) == made
    save_classifiers(runs, run_id, Classifiers((), ()))
    runs.remove(run_id)
    assert not runs.path(run_id).exists()
