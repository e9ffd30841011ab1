"""Rows into tables: what is written is what was there, in every form."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.silent import Listener
from vdbcluster.adapters.memory import MemorySink, MemorySource
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.memory_labelled import MemoryLabelled
from vdbcluster.adapters.spool import Spool
from vdbcluster.adapters.table_files import BOM, TablePlace, table_file
from vdbcluster.errors import RefusedError, UsageError, VdbclusterError
from vdbcluster.model.labels import LabelBatch, LabelFields
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.tables import Column, RowBatch, RowPage, TableShape
from vdbcluster.pipeline.export import Exporting, ExportRequest, export_rows
from vdbcluster.pipeline.export_places import Places
from vdbcluster.records.columns import Kinds

SHAPE = TableShape((Column("id", "INT64"),), (Column("score", "FLOAT"),))
HARD = ("", None, 'a,b\n"c"', "=1+1", "日本語", "\u2028", "nul\x00", "  ", "'")


def batches(rows: list[dict[str, Any]], each: int = 2) -> list[RowBatch]:
    """Rows with an id and a score, the rest as it is."""
    parts = [rows[i : i + each] for i in range(0, len(rows), each)]
    return [
        RowBatch(
            {"id": [row["id"] for row in part], "score": [row.get("score") for row in part]},
            [{k: v for k, v in row.items() if k not in ("id", "score")} for row in part],
        )
        for part in parts
    ]


def written(path: Path, rows: list[dict[str, Any]], form: Any, **how: Any) -> Any:
    return table_file(TablePlace(path, form, **how)).write(SHAPE, batches(rows))


ROWS: list[dict[str, Any]] = [
    {"id": 2**63 - 1, "score": 0.85, "text": text, "n": n, "mixed": mixed, "list": listed}
    for text, n, mixed, listed in zip(
        HARD,
        (1, 2.5, None, -3, 4, 5, 6, 7, 8),
        (1, "x", None, [1, {"a": None}], True, 2.0, {}, "", float("nan")),
        ([1, 2], [], None, [3], [2**62], [4], [5], [6], [7]),
        strict=True,
    )
] + [{"id": -1, "score": None, "only": "half \ud800 of a pair"}]


def test_parquet_keeps_types_and_values(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    assert written(path, ROWS, "parquet").rows == len(ROWS)
    table = pyarrow.parquet.read_table(path)
    types = {field.name: str(field.type) for field in table.schema}
    assert types == {
        "id": "int64",
        "list": "list<element: int64>",
        "mixed": "string",
        "n": "double",
        "only": "string",
        "text": "string",
        "score": "float",
    }
    found = table.to_pylist()
    for row, back in zip(ROWS, found, strict=True):
        assert (back["id"], back["n"], back["list"]) == (row["id"], row.get("n"), row.get("list"))
        assert back["text"] == row.get("text")
        if not isinstance(row.get("mixed"), float) or math.isfinite(row["mixed"]):
            told = back["mixed"]
            assert (told if told is None else json.loads(told)) == row.get("mixed")
    assert found[0]["score"] == np.float32(0.85)
    assert found[-1]["only"] == "half \\ud800 of a pair"


def test_csv_tells_an_empty_text_from_none(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    assert written(path, ROWS, "csv").formulas == 1
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode())))
    assert [row["text"] for row in rows[:-1]] == [text or "" for text in HARD]
    assert rows[0]["id"] == str(2**63 - 1)
    assert (rows[0]["score"], rows[-1]["score"]) == ("0.85", "")
    assert json.loads(rows[3]["mixed"]) == [1, {"a": None}]
    told = pyarrow.csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False)
    options = pyarrow.csv.ParseOptions(newlines_in_values=True)
    table = pyarrow.csv.read_csv(path, parse_options=options, convert_options=told)
    assert table["text"].to_pylist() == [*HARD, None]


FORMULAS = ("=1", "+1", "-1", "@x", "\n=1", "＝1", "a=1")  # noqa: RUF001


def test_csv_for_a_spreadsheet_runs_nothing(tmp_path: Path) -> None:
    rows = [{"id": i, "=cmd": text} for i, text in enumerate(FORMULAS)]
    path = tmp_path / "rows.csv"
    assert written(path, rows, "csv", spreadsheet=True).formulas == 7
    text = path.read_bytes()
    assert text.startswith(BOM)
    found = list(csv.reader(io.StringIO(text.removeprefix(BOM).decode())))
    assert found[0] == ["id", "'=cmd", "score"]
    assert [row[1] for row in found[1:]] == [*(f"'{text}" for text in FORMULAS[:-1]), "a=1"]


@pytest.mark.parametrize("packed", [False, True])
def test_lines_of_json_are_the_rows(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "rows.jsonl"
    written(path, ROWS, "jsonl", packed=packed)
    text = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    found = [json.loads(line) for line in text.decode().split("\n")[:-1]]
    assert found[0] == ROWS[0]
    assert [row.get("text") for row in found[:-1]] == list(HARD)
    assert found[8]["mixed"] is None  # not a number
    assert found[-1] == ROWS[-1]  # JSON can say half a pair


def test_nothing_is_there_if_a_batch_fails(tmp_path: Path) -> None:
    def broken() -> Iterator[RowBatch]:
        yield batches(ROWS[:2])[0]
        raise RefusedError("no more")

    class Twice:
        """Fails the second time that somebody goes over it."""

        def __init__(self) -> None:
            self.times = 0

        def __iter__(self) -> Iterator[RowBatch]:
            self.times += 1
            return broken() if self.times > 1 else iter(batches(ROWS[:2]))

    made: list[tuple[str, Iterable[RowBatch]]] = [("jsonl", broken()), ("csv", Twice())]
    for form, some in [*made, ("parquet", Twice())]:
        path = tmp_path / f"rows.{form}"
        path.write_text("what was there")
        with pytest.raises(RefusedError):
            table_file(TablePlace(path, form)).write(SHAPE, some)  # type: ignore[arg-type]
        assert path.read_text() == "what was there"
    assert len(list(tmp_path.iterdir())) == 3
    with pytest.raises(VdbclusterError, match="cannot be written"):
        written(tmp_path / "no" / "rows.csv", ROWS, "csv")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = partial(open, "/dev/full", "w+b")
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: full())
    page = RowPage(np.arange(2), {}, [{}, {}], {})  # so small that it waits in the buffer
    with Spool(tmp_path) as spool:
        spool.put(page)
        with pytest.raises(VdbclusterError, match="cannot be kept"):
            next(iter(spool))


def test_an_empty_table_has_its_columns(tmp_path: Path) -> None:
    for form in ("parquet", "csv", "jsonl"):
        written(tmp_path / f"rows.{form}", [], form)
    assert pyarrow.parquet.read_schema(tmp_path / "rows.parquet").names == ["id", "score"]
    assert (tmp_path / "rows.csv").read_text() == '"id","score"\n'
    assert (tmp_path / "rows.jsonl").read_bytes() == b""


finite = st.floats(allow_nan=False, allow_infinity=False)  # a mixed column is JSON, with no others
plain = st.none() | st.booleans() | st.integers() | finite | st.text()
anything = plain | st.lists(plain, max_size=3) | st.dictionaries(st.text(), plain, max_size=2)
numbers = st.lists(st.floats(allow_nan=False), max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.lists(anything, max_size=6) | st.lists(st.lists(plain, max_size=3), max_size=4) | numbers)
def test_a_column_of_anything_comes_back(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any]
) -> None:
    kinds = Kinds()
    for value in values:
        kinds.see(value)
    column = kinds.column("x")
    path = tmp_path_factory.mktemp("t") / "rows.parquet"
    rows = [{"id": i, "x": value} for i, value in enumerate(values)]
    written(path, rows, "parquet")
    table = pyarrow.parquet.read_table(path)
    if kinds.empty and not values:
        assert "x" not in table.column_names
        return
    back = table["x"].to_pylist()
    if column.kind == "JSON":
        back = [None if text is None else json.loads(text) for text in back]
    assert back == values
    if column.kind != "JSON":
        assert [type(v) for v in back if column.kind != "DOUBLE"] == [
            type(v) for v in values if column.kind != "DOUBLE"
        ]


def collection(n: int = 30) -> MemoryCollection:
    """Keys 0 to n - 1; of each ten rows one has no label and one is noise."""
    rng = np.random.default_rng(0)
    texts = [f"text {i}" if i % 7 else None for i in range(n)]
    held = MemoryCollection(rng.normal(size=(n, 3)), columns={"text": texts, "name": ["n"] * n})
    keys = np.array([i for i in range(n) if i % 10 != 9])
    labels = np.array([-1 if i % 10 == 8 else i % 10 % 3 for i in keys])
    made = LabelBatch.blank(keys)
    told = np.full(len(keys), "run-1", object)
    batch = LabelBatch(
        keys,
        labels,
        made.probability + 0.5,
        made.outlier_score,
        told,
        np.full(len(keys), "core", object),
    )
    MemorySink(held).write(batch, "_default")
    return held


def exporting(held: MemoryCollection, path: Path, **more: Any) -> Exporting:
    source = MemorySource(held)
    return Exporting(
        rows=MemoryLabelled(held),
        source=source,
        table=table_file(TablePlace(path, path.suffix.removeprefix("."))),  # type: ignore[arg-type]
        store=partial(Spool, path.parent),
        profile=source.profile(),
        fields=LabelFields(),
        **more,
    )


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rows_names_and_counts(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    found = export_rows(exporting(collection(), path, names={0: "nought", 5: "five"}), Listener())
    assert (found.read, found.rows, found.labelled, found.noise) == (30, 30, 27, 3)
    rows = lines(path)
    assert [row["id"] for row in rows] == list(range(30))
    assert rows[9]["cluster_id"] is rows[9]["cluster_run_id"] is rows[9]["cluster_name"] is None
    assert (rows[8]["cluster_id"], rows[8]["cluster_name"]) == (-1, None)
    assert (rows[3]["cluster_id"], rows[3]["cluster_name"]) == (0, "nought")
    assert rows[7]["text"] is None
    assert "cluster_path" not in rows[0]
    assert rows[0]["cluster_probability"] == 0.5


@pytest.mark.parametrize(
    ("request_", "labels"),
    [
        (ExportRequest(), {0, 1, 2, -1, None}),
        (ExportRequest(noise=False), {0, 1, 2, None}),
        (ExportRequest(noise=True), {0, 1, 2, -1, None}),
        (ExportRequest(clusters=(1, 2)), {1, 2}),
        (ExportRequest(clusters=(1,), noise=True), {1, -1}),
        (ExportRequest(clusters=(-1,)), {-1}),
    ],
)
def test_rows_are_chosen_by_cluster(
    tmp_path: Path, request_: ExportRequest, labels: set[int | None]
) -> None:
    held = collection()
    found = export_rows(exporting(held, tmp_path / "rows.jsonl", request=request_), Listener())
    assert {row["cluster_id"] for row in lines(tmp_path / "rows.jsonl")} == labels
    every = [None if i % 10 == 9 else -1 if i % 10 == 8 else i % 10 % 3 for i in range(30)]
    assert found.rows == sum(label in labels for label in every)


def test_what_is_refused_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held, path = collection(), tmp_path / "rows.csv"
    with pytest.raises(UsageError, match="no row of 'memory' is labelled 9"):
        export_rows(exporting(held, path, request=ExportRequest(clusters=(9,))), Listener())
    other = MemoryCollection(np.ones((1, 2)), columns={"cluster_x": [1]})
    places = Places(np.arange(1), np.zeros((1, 2), np.float32))
    with pytest.raises(UsageError, match="a field 'cluster_x'"):
        export_rows(exporting(other, path, places=places), Listener())
    monkeypatch.setattr(MemorySource, "count", lambda _: 31)
    with pytest.raises(RefusedError, match="30 rows were read, but the server counts 31"):
        export_rows(exporting(held, path), Listener())
    assert not list(tmp_path.iterdir())


def test_vectors_are_lists_of_fixed_size(tmp_path: Path) -> None:
    held, path = collection(), tmp_path / "rows.parquet"
    held.vectors[4] = np.nan
    export_rows(exporting(held, path, request=ExportRequest(("text",), vectors=True)), Listener())
    column = pyarrow.parquet.read_table(path)["vector"]
    assert str(column.type) == "fixed_size_list<element: float>[3]"
    back = column.to_pylist()
    assert back[4] is None
    rest = [i for i in range(30) if i != 4]
    assert np.array_equal(np.array([back[i] for i in rest], np.float32), held.vectors[rest])


def test_neighbours_are_numbered_as_the_rows_of_the_table(tmp_path: Path) -> None:
    held, path = collection(), tmp_path / "rows.parquet"
    rng = np.random.default_rng(1)
    keys = np.sort(rng.choice(30, 20, replace=False))
    near = np.stack([np.delete(np.arange(20), i)[:4] for i in range(20)]).astype(np.int32)
    near[3, 2:] = -1
    far = np.where(near < 0, np.inf, np.arange(1, 5)).astype(np.float32)
    flat = rng.normal(size=(20, 2)).astype(np.float32)
    flat[5] = np.nan
    places = Places(
        keys, flat, ("projection_x", "projection_y"), NeighborGraph(near, far, "chord"), "neighbors"
    )
    made = exporting(held, path, places=places, request=ExportRequest(noise=False))
    found = export_rows(made, Listener())
    rows = pyarrow.parquet.read_table(path).to_pylist()
    noise = {k for k in range(30) if k % 10 == 8}
    assert [row["id"] for row in rows] == [k for k in keys.tolist() if k not in noise]
    assert found.placed == len(rows) - (keys[5] not in noise)
    for row in rows:
        at = int(np.searchsorted(keys, row["id"]))
        ids, distances = row["neighbors"]["ids"], row["neighbors"]["distances"]
        wanted = [
            (int(keys[i]), float(d)) for i, d in zip(near[at], far[at], strict=True) if i >= 0
        ]
        wanted = [(key, d) for key, d in wanted if key not in noise]
        assert [(rows[i]["id"], d) for i, d in zip(ids, distances, strict=True)] == wanted
        told = [row["projection_x"], row["projection_y"]]
        assert told == ([None, None] if at == 5 else flat[at].tolist())


KILLED = """
import sys, time
from pathlib import Path
from vdbcluster.adapters.spool import Spool
from vdbcluster.adapters.table_files import TablePlace, table_file
from vdbcluster.model.tables import Column, RowBatch, TableShape

class Slow:
    times = 0
    def __iter__(self):
        self.times += 1
        yield RowBatch({"id": list(range(1000))}, [{}] * 1000)
        if self.times == writer.passes:
            print("half", flush=True)
            time.sleep(60)

place = Path(sys.argv[1])
writer = table_file(TablePlace(place, place.suffix[1:]))
with Spool(place.parent):
    writer.write(TableShape((Column("id", "INT64"),)), Slow())
"""


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_killed_half_way_there_is_no_file(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"rows.{form}"
    argv = [sys.executable, "-c", KILLED, str(path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    assert not path.exists()
    # what a killed process leaves is hidden, and called after it
    assert {p.name for p in tmp_path.iterdir()} == {f".{path.name}.{process.pid}"}
