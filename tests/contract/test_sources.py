"""Every kind of source keeps one contract: the same rows, whatever file they lie in."""

from __future__ import annotations

import csv
import gc
import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import data
from vdbcluster.adapters.sources import open_source
from vdbcluster.config.ingest import SourceSettings
from vdbcluster.model.records import Record, SourceRow
from vdbcluster.ports.records import RecordSource
from vdbcluster.records import ShapeOptions, Shaper, infer_shape

Row = dict[str, Any]
Writer = Callable[[Path, Sequence[Row]], None]

ROWS: list[Row] = [
    {"id": 1, "text": 'A "quoted" title, with comma', "score": 0.5, "ok": True, "v": [1.0, 0.25]},
    {"id": 2, "text": "two\nlines and\ttab", "score": None, "ok": False, "v": [0.5, -3.0]},
    {"id": 3, "text": "日本語の見出し", "score": -2.25, "ok": None, "v": [0.0, 1e-3]},
    {"id": 4, "text": "emoji 🦆 and  spaces", "score": 3.0, "ok": True, "v": [7.0, 8.0]},
]


def write_csv(path: Path, rows: Sequence[Row], delimiter: str = ",") -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(rows[0])
        for row in rows:
            writer.writerow(["" if v is None else _cell(v) for v in row.values()])


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def write_tsv(path: Path, rows: Sequence[Row]) -> None:
    write_csv(path, rows, "\t")


def write_json(path: Path, rows: Sequence[Row]) -> None:
    path.write_text(json.dumps(rows, indent=2, ensure_ascii=False), encoding="utf-8")


def write_jsonl(path: Path, rows: Sequence[Row]) -> None:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")


def write_jsonl_gz(path: Path, rows: Sequence[Row]) -> None:
    path.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in rows).encode()))


def write_parquet(path: Path, rows: Sequence[Row]) -> None:
    pq.write_table(pa.Table.from_pylist(list(rows)), path, row_group_size=2)


def write_arrow(path: Path, rows: Sequence[Row]) -> None:
    table = pa.Table.from_pylist(list(rows))
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write(table)


def write_stream(path: Path, rows: Sequence[Row]) -> None:
    """Vectors as fixed lists of float32, texts by dictionary."""
    table = pa.Table.from_pylist(list(rows))
    fixed = pa.array([row["v"] for row in rows], pa.list_(pa.float32(), len(rows[0]["v"])))
    place = table.schema.get_field_index("text")
    table = table.set_column(table.schema.get_field_index("v"), "v", fixed)
    table = table.set_column(place, "text", table.column("text").dictionary_encode())
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=3)


WRITERS: dict[str, Writer] = {
    "a.csv": write_csv,
    "a.tsv": write_tsv,
    "a.json": write_json,
    "a.jsonl": write_jsonl,
    "a.jsonl.gz": write_jsonl_gz,
    "a.parquet": write_parquet,
    "a.arrow": write_arrow,
    "a.arrows": write_stream,
}


def read(source: RecordSource) -> tuple[list[SourceRow], np.ndarray | None]:
    batches = list(source.batches())
    assert not [fault for batch in batches for fault in batch.faults]
    vectors = [batch.vectors for batch in batches if batch.vectors is not None]
    rows = [row for batch in batches for row in batch.rows]
    return rows, np.concatenate(vectors) if vectors else None


def records(source: RecordSource, rows: list[SourceRow]) -> list[Record]:
    options = ShapeOptions(
        fields=("score", "ok"), id_field="id", typed=source.typed, vectors=True, vector_field="v"
    )
    shaper = Shaper(infer_shape(rows, options), options)
    found = [shaper.record(row) for row in rows]
    assert all(isinstance(record, Record) for record in found), found
    return [record for record in found if isinstance(record, Record)]


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_rows_from_every_kind(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name, ROWS)
    source = open_source(tmp_path / name, SourceSettings(vector_field="v"))
    rows, vectors = read(source)
    assert [row.number for row in rows] == [1, 2, 3, 4]
    expected = [{k: v for k, v in row.items() if k != "v"} for row in ROWS]
    if source.typed:
        assert [dict(row.values) for row in rows] == expected
    else:
        shown = [{k: None if v is None else _cell(v) for k, v in row.items()} for row in expected]
        assert [dict(row.values) for row in rows] == shown
    assert vectors is not None
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, np.array([row["v"] for row in ROWS], np.float32))


def test_the_same_records_from_every_kind(tmp_path: Path) -> None:
    found = []
    for name, write in WRITERS.items():
        write(tmp_path / name, ROWS)
        source = open_source(tmp_path / name, SourceSettings(vector_field="v"))
        found.append(records(source, read(source)[0]))
    assert all(other == found[0] for other in found[1:])
    assert found[0][1].fields == {"score": None, "ok": False}
    assert [record.key for record in found[0]] == [1, 2, 3, 4]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_vectors_beside_a_table(name: str, tmp_path: Path) -> None:
    bare = [{k: v for k, v in row.items() if k != "v"} for row in ROWS]
    WRITERS[name](tmp_path / name, bare)
    np.save(tmp_path / "v.npy", np.array([row["v"] for row in ROWS], np.float16))
    source = open_source(tmp_path / "v.npy", SourceSettings(side_file=tmp_path / name))
    rows, vectors = read(source)
    assert source.total == 4
    assert source.typed == (name != "a.csv")
    assert [row.values["id"] for row in rows] == (
        ["1", "2", "3", "4"] if "csv" in name else [1, 2, 3, 4]
    )
    assert vectors is not None
    np.testing.assert_allclose(vectors, [row["v"] for row in ROWS], rtol=1e-3)


def test_a_bad_row_beside_vectors_moves_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\none\ntwo,2\nthree\nfour\n")
    np.save(tmp_path / "v.npy", np.array([[1.0], [2.0], [0.0], [4.0]]))
    (batch,) = open_source(
        tmp_path / "v.npy", SourceSettings(side_file=tmp_path / "a.csv")
    ).batches()
    assert [(row.number, row.values["text"]) for row in batch.rows] == [(1, "one"), (4, "four")]
    assert batch.vectors is not None
    assert batch.vectors.tolist() == [[1.0], [4.0]]
    assert [fault.number for fault in batch.faults] == [2, 3]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_of_an_archive(order: Any, save: Any, tmp_path: Path) -> None:
    vectors = np.asarray([row["v"] for row in ROWS], np.float64, order=order)
    days = np.array(["2024-01-01", "2024-01-02", "NaT", "2024-01-04"], "datetime64[D]")
    texts = np.array([row["text"] for row in ROWS])
    save(tmp_path / "a.npz", emb=vectors, text=texts, id=np.arange(4), day=days, version=1)
    rows, found = read(open_source(tmp_path / "a.npz", SourceSettings()))
    assert found is not None
    np.testing.assert_array_equal(found, vectors.astype(np.float32))
    assert rows[1].values == {"text": ROWS[1]["text"], "id": 1, "day": "2024-01-02"}
    assert rows[2].values["day"] is None


def test_vectors_alone(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(1, 7, dtype=">f8").reshape(3, 2))
    source = open_source(tmp_path / "a.npy", SourceSettings())
    rows, vectors = read(source)
    assert [row.values for row in rows] == [{"row": 0}, {"row": 1}, {"row": 2}]
    assert vectors is not None
    assert vectors.tolist() == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    for path in ("b.txt", "a/z.md", "a/b/c.txt", ".hidden", ".git/x.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"the text of {path}\nand more\n")
    source = open_source(tmp_path, SourceSettings())
    rows, _ = read(source)
    assert [row.values["path"] for row in rows] == ["a/b/c.txt", "a/z.md", "b.txt"]
    assert rows[1].values["name"] == "z.md"
    assert rows[1].values["text"] == "the text of a/z.md\nand more\n"
    assert source.total == 3
    before = source.fingerprint()
    (tmp_path / "c.txt").write_text("new")
    assert open_source(tmp_path, SourceSettings()).fingerprint() != before


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.parquet", "a.arrow"])
def test_standard_input_is_told_by_its_bytes_and_read_twice(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    WRITERS[name](tmp_path / name, ROWS)
    content = (tmp_path / name).read_bytes()
    source = open_source("-", SourceSettings(vector_field="v"), stdin=io.BytesIO(content))
    assert read(source)[0] == read(source)[0]
    assert len(list(tmp_path.glob("vdbcluster-stdin-*"))) == 1
    again = open_source("-", SourceSettings(vector_field="v"), stdin=io.BytesIO(content))
    assert again.fingerprint() == source.fingerprint()
    del source, again
    gc.collect()
    assert not list(tmp_path.glob("vdbcluster-stdin-*"))


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "cp932", "euc_jp", "gb18030"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.jsonl", "a.txt"])
def test_encodings(encoding: str, name: str, tmp_path: Path) -> None:
    texts = ["日本語の見出し", "plain ASCII", "改行なし"]
    rows = [{"text": text} for text in texts]
    content = {
        "a.csv": "text\n" + "\n".join(texts),
        "a.json": json.dumps(rows, ensure_ascii=False),
        "a.jsonl": "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows),
        "a.txt": "\r\n".join(texts) + "\r\n",
    }[name]
    (tmp_path / name).write_bytes(content.encode(encoding))
    marked = encoding in ("utf-8-sig", "utf-16", "utf-32")
    settings = SourceSettings() if marked else SourceSettings(encoding=encoding)
    found, _ = read(open_source(tmp_path / name, settings))
    assert [row.values["text"] for row in found] == texts


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_csv(end: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(f'text,n{end}"a{end}b",1{end}{end}c,2'.encode())
    rows, _ = read(open_source(tmp_path / "a.csv", SourceSettings()))
    assert [dict(row.values) for row in rows] == [
        {"text": f"a{end}b", "n": "1"},
        {"text": "c", "n": "2"},
    ]


def test_array_larger_than_the_window(tmp_path: Path) -> None:
    rows = [{"text": f"row {i} " + "x" * (i * 7919 % 3_000_000)} for i in range(8)]
    (tmp_path / "a.json").write_text(json.dumps(rows, indent=1))
    found, _ = read(open_source(tmp_path / "a.json", SourceSettings()))
    assert [dict(row.values) for row in found] == rows


def test_numbers_mean_the_same_in_arrays_and_lines(tmp_path: Path) -> None:
    content = '{"text": "x", "big": 123456789012345678901234567890, "f": 1e400, "n": NaN}'
    (tmp_path / "a.jsonl").write_text(content)
    (tmp_path / "a.json").write_text(f"[{content}]")
    (one,), _ = read(open_source(tmp_path / "a.jsonl", SourceSettings()))
    (other,), _ = read(open_source(tmp_path / "a.json", SourceSettings()))
    assert repr(one) == repr(other)
    assert one.values["big"] == 123456789012345678901234567890


def test_what_arrow_knows_and_json_does_not(tmp_path: Path) -> None:
    noon = datetime(2024, 5, 6, 12, 30, tzinfo=timezone(timedelta(hours=2)))
    table = pa.table(
        {
            "text": pa.array(["x"], pa.large_string()),
            "day": [date(2024, 5, 6)],
            "naive": pa.array([1_714_998_600_123_456_789], pa.timestamp("ns")),
            "zoned": pa.array([noon], pa.timestamp("us", "Europe/Berlin")),
            "price": [Decimal("12.50")],
            "took": [timedelta(seconds=90)],
            "half": pa.array([np.float16(0.5)], pa.float16()),
            "tags": [["a", "b"]],
            "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
            "struct": [{"when": date(2024, 1, 1), "n": 1}],
            "big": pa.array([2**64 - 1], pa.uint64()),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    (row,), _ = read(open_source(tmp_path / "a.parquet", SourceSettings()))
    assert row.values == {
        "text": "x",
        "day": "2024-05-06",
        "naive": "2024-05-06T12:30:00.123456",
        "zoned": "2024-05-06T10:30:00+00:00",
        "price": 12.5,
        "took": 90.0,
        "half": 0.5,
        "tags": ["a", "b"],
        "map": {"k": 1},
        "struct": {"when": "2024-01-01", "n": 1},
        "big": 2**64 - 1,
    }


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json", "a.parquet", "a.arrow"])
def test_batches_are_bounded(name: str, tmp_path: Path) -> None:
    rows = [{"id": i, "text": "x" * 20_000, "v": [1.0]} for i in range(2100)]
    WRITERS[name](tmp_path / name, rows)
    sizes = [
        len(batch.rows)
        for batch in open_source(tmp_path / name, SourceSettings(vector_field="v")).batches()
    ]
    assert sum(sizes) == 2100
    assert max(sizes) * 20_000 < 18 << 20


def test_fingerprint_changes_with_the_content(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text\nx\n")
    marks = {open_source(path, SourceSettings()).fingerprint() for _ in range(2)}
    path.write_text("text\ny\n")
    marks.add(open_source(path, SourceSettings()).fingerprint())
    assert len(marks) == 2


def test_real_embeddings_beside_their_table() -> None:
    name = "news870"
    table = data.file(f"{name}.parquet")
    vectors_file = data.file(f"{name}.e5-small-q4.384.f16.npy")
    source = open_source(vectors_file, SourceSettings(side_file=table))
    rows, vectors = read(source)
    assert vectors is not None
    assert vectors.shape == (870, 384)
    np.testing.assert_array_equal(vectors, np.load(vectors_file).astype(np.float32))
    assert [row.values["text"] for row in rows] == pq.read_table(table)["text"].to_pylist()


# Kept, 200,000 rows would take 80 MB and more; what allocators hold on to is below 40.
CHILD = """
import json, sys
from tests.own_memory import own_kib
from vdbcluster.adapters.sources import open_source
from vdbcluster.config.ingest import SourceSettings
from vdbcluster.records import ShapeOptions, Shaper, infer_shape

def peak(path):
    source, top, shaper = open_source(path, SourceSettings(vector_field=sys.argv[1])), 0, None
    for batch in source.batches():
        if shaper is None:
            options = ShapeOptions(typed=source.typed, vectors=batch.vectors is not None)
            shaper = Shaper(infer_shape(batch.rows[:100], options), options)
        records = [shaper.record(row) for row in batch.rows]
        top = max(top, own_kib())
    return top

print(json.dumps([peak(path) for path in sys.argv[2:]]))
"""


def _many(folder: Path, kind: str, count: int) -> Path:
    path = folder / f"{count}.{kind}"
    if kind == "npz":
        np.savez(path, v=np.ones((count, 96), np.float32), n=np.arange(count))
    elif kind == "parquet":
        lists = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(count * 64, np.float32)), 64)
        texts = pa.array(f"text number {i} of many" for i in range(count))
        pq.write_table(pa.table({"text": texts, "v": lists}), path)
    else:
        words = "some words that make a row long enough to be seen if it is kept " * 3
        rows = ({"id": i, "text": f"{i} {words}"} for i in range(count))
        with path.open("w") as file:
            if kind == "csv":
                file.write("id,text\n")
                file.writelines(f"{row['id']},{row['text']}\n" for row in rows)
            else:
                file.write(f"[{','.join(map(json.dumps, rows))}]")
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "kind", ["csv", *(pytest.param(k, marks=pytest.mark.slow) for k in ("json", "parquet", "npz"))]
)
def test_memory_is_flat_from_10k_to_200k_rows(kind: str, tmp_path: Path) -> None:
    paths = [str(_many(tmp_path, kind, count)) for count in (10_000, 200_000)]
    field = "v" if kind in ("parquet", "npz") else ""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, field, *paths],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    few, many = json.loads(done.stdout)
    assert many - few < 40 << 10, f"{few:,} kB for 10,000 rows, {many:,} kB for 200,000"
