"""``vdbcluster export`` as a person meets it: what a plain client reads is what is in the file."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from pymilvus import MilvusClient
from typer.testing import CliRunner, Result

from tests import zoo
from tests.backends import LITE_FILE, Backend, connected
from vdbcluster.cli.app import app
from vdbcluster.errors import UsageError, VdbclusterError
from vdbcluster.wiring.exporting import table_place

ROWS = 200
LABELS = ("cluster_id", "cluster_probability", "cluster_outlier_score", "cluster_run_id")


def call(*arguments: str) -> Result:
    done = CliRunner().invoke(app, list(arguments))
    if isinstance(done.exception, VdbclusterError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, dict, type(None))) else list(value)


def queried(client: MilvusClient, name: str) -> dict[Any, dict[str, Any]]:
    """All rows by key, as the client gives them."""
    found = client.query(
        name, filter="", output_fields=["*"], limit=1000, consistency_level="Strong"
    )
    return {row[zoo.KEY]: {k: plain(v) for k, v in dict(row).items()} for row in found}


def labelled(
    backend: Backend, client: MilvusClient, name: str, tmp_path: Path, way: str
) -> list[str]:
    """A collection of odd fields, clustered; how commands name it: server and runs, collection."""
    zoo.build(client, name, zoo.by_name("odd-int"), ROWS)
    where = ["--uri", backend.uri, "--runs-dir", str(tmp_path / "runs"), "-c", name]
    call("run", *where, "--write-way", way, "--yes", "--resamples", "0", "--method", "hdbscan")
    return where


@pytest.mark.slow_on_server
@pytest.mark.parametrize("way", ["auto", "side-collection"])
def test_every_form_holds_what_the_client_reads(
    backend: Backend, client: MilvusClient, collection_name: str, tmp_path: Path, way: str
) -> None:
    if (way == "auto") != (backend.name == LITE_FILE):
        pytest.skip("the contract of rows with labels shows it")
    where = labelled(backend, client, collection_name, tmp_path, way)
    rows = queried(client, collection_name)
    beside = f"{collection_name}_cluster_labels"
    if client.has_collection(beside):
        for key, label in queried(client, beside).items():
            rows[key] |= {name: label[name] for name in LABELS}
    paths = {form: tmp_path / f"rows.{form}" for form in ("parquet", "csv", "jsonl")}
    for form, path in paths.items():
        more = ["--vectors"] if form == "parquet" else []
        told = call("export", *where, "-o", str(path), "--json", *more)
        assert json.loads(told.stdout)["rows"] == len(rows) == ROWS

    by_line = [json.loads(line) for line in paths["jsonl"].read_text().splitlines()]
    table = pyarrow.parquet.read_table(paths["parquet"])
    by_column = table.to_pylist()
    by_cell = list(csv.DictReader(io.StringIO(paths["csv"].read_bytes().decode())))
    assert len(by_line) == len(by_column) == len(by_cell) == ROWS
    floats = {f.name for f in table.schema if str(f.type) == "float"}
    texts = {f.name for f in table.schema if str(f.type) == "string"}
    for line, column, cell in zip(by_line, by_column, by_cell, strict=True):
        row = rows[line[zoo.KEY]]
        assert np.array_equal(np.array(column[zoo.VECTOR], np.float32), row[zoo.VECTOR])
        for name in row.keys() - {zoo.VECTOR, "cluster_assignment"}:
            value = row[name]
            if name in floats and value is not None:
                assert np.float32(line[name]) == np.float32(value) == np.float32(column[name])
                assert np.float32(cell[name]) == np.float32(value)
                continue
            assert line[name] == value, name
            if name in texts and value is not None and not isinstance(value, str):
                assert json.loads(column[name]) == json.loads(cell[name]) == value
                continue
            assert column[name] == value, name
            if isinstance(value, str):
                assert cell[name] == value
        assert line["cluster_assignment"] in ("core", "soft", "noise")


def test_rows_of_a_cluster_by_run_and_on_standard_output(
    lite_file: Backend, tmp_path: Path
) -> None:
    with connected(lite_file) as client:
        where = labelled(lite_file, client, "odd", tmp_path, "auto")
    by_run = where[:4]
    every = [json.loads(line) for line in call("export", *by_run, "-o", "-").stdout.splitlines()]
    assert len(every) == ROWS
    entry = next(row["cluster_id"] for row in every if row["cluster_id"] >= 0)
    call("clusters", "rename", *where[:2], *where[4:], str(entry), "=the first")
    one = ("export", "last", *by_run, "--cluster", str(entry), "--field", "title", "-o", "-")
    found = [json.loads(line) for line in call(*one).stdout.splitlines()]
    assert [row[zoo.KEY] for row in found] == [
        row[zoo.KEY] for row in every if row["cluster_id"] == entry
    ]
    assert all(row["cluster_name"] == "=the first" for row in found)
    assert set(found[0]) == {zoo.KEY, "title", "cluster_name", "cluster_assignment", *LABELS}
    told = call(*one[:-2], "--field", "titel", "--json", "-o", str(tmp_path / "one.csv"))
    assert "no row has a field 'titel'" in told.stderr
    assert "titel" not in json.loads(told.stdout)["columns"]
    other = call("export", "last", *by_run, "--filter", f"{zoo.KEY} > 1", "-o", "-")
    assert len(other.stdout.splitlines()) == ROWS
    assert "is not heeded" in other.stderr
    text = call(*one, "--format", "csv", "--spreadsheet").stdout
    assert text.count("'=the first") == len(found)


@pytest.mark.slow
def test_the_atlas_has_places_and_neighbours(lite_file: Backend, tmp_path: Path) -> None:
    with connected(lite_file) as client:
        where = labelled(lite_file, client, "odd", tmp_path, "auto")
    path = tmp_path / "atlas.parquet"
    told = json.loads(call("export", *where, "-o", str(path), "--layout", "atlas", "--json").stdout)
    assert told["on_the_map"] == told["rows"] == ROWS
    columns = "--x projection_x --y projection_y --text title --neighbors neighbors"
    assert told["command"] == f"embedding-atlas {path} {columns}"
    table = pyarrow.parquet.read_table(path)
    assert str(table.schema.field("neighbors").type) == (
        "struct<ids: list<element: int64>, distances: list<element: float>>"
    )
    rows = table.to_pylist()
    for i, row in enumerate(rows):
        near = row["neighbors"]
        assert len(near["ids"]) == len(near["distances"]) == 15
        assert i not in near["ids"]
        assert near["distances"] == sorted(near["distances"])
    again = tmp_path / "rows.parquet"  # now the run has a map
    call("export", *where, "-o", str(again))
    plainly = pyarrow.parquet.read_table(again).to_pylist()
    assert [(r["cluster_x"], r["cluster_y"]) for r in plainly] == [
        (r["projection_x"], r["projection_y"]) for r in rows
    ]
    with connected(lite_file) as client:
        client.load_collection("odd")
        some = client.query("odd", "", output_fields=["*"], limit=3)
        labels = [*LABELS, "cluster_assignment"]
        copied = [{k: plain(v) for k, v in dict(r).items() if k not in labels} for r in some]
        client.insert("odd", [{**row, zoo.KEY: 10**6 + i} for i, row in enumerate(copied)])
    call("assign", *where)  # rows that come later have a place on the same map
    late = json.loads(call("export", "last", *where[:4], "-o", str(again), "--json").stdout)
    assert (late["map_of_run"], late["on_the_map"]) == (told["map_of_run"], ROWS + 3)


@pytest.mark.parametrize(
    ("output", "how", "told"),
    [
        ("rows.xlsx", {}, "must end with .parquet, .csv or .jsonl"),
        ("rows.parquet.gz", {}, "leave .gz out"),
        ("rows.csv", {"vectors": True}, "--vectors needs Parquet"),
        ("rows.jsonl", {"spreadsheet": True}, "--spreadsheet is about CSV"),
        ("nowhere/rows.csv", {}, "does not exist; make it first"),
        (".", {"form": "csv"}, "is a directory"),
        ("-", {"form": "parquet"}, "does not go to standard output"),
    ],
)
def test_a_wrong_output_is_told_before_any_work(
    output: str, how: dict[str, Any], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    form = how.pop("form", "")
    with pytest.raises(UsageError, match=told):
        table_place(output, form, **({"vectors": False, "spreadsheet": False} | how))


def test_a_collection_without_labels_is_told(lite_file: Backend, tmp_path: Path) -> None:
    with connected(lite_file) as client:
        zoo.build(client, "bare", zoo.by_name("plain-int"), 20)
    path = tmp_path / "rows.csv"
    where = ("--uri", lite_file.uri, "-c", "bare", "--runs-dir", str(tmp_path))
    with pytest.raises(UsageError, match="carries no labels yet"):
        call("export", *where, "-o", str(path))
    assert not path.exists()
