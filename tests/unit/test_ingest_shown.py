"""What an ingest shows, and what it takes for a source: nothing that steers a terminal or waits."""

from __future__ import annotations

import io
import json
import math
import os
import socket
import sys
from pathlib import Path

import pytest
from rich.console import Console

from vdbcluster.adapters.ingest_files import IngestFiles
from vdbcluster.adapters.lock import locked
from vdbcluster.adapters.sources import open_source
from vdbcluster.adapters.sources.delimited import MAX_CELL
from vdbcluster.cli import main as command
from vdbcluster.cli.observer import TerminalObserver
from vdbcluster.cli.printable import printable
from vdbcluster.cli.render_ingest import preview_json, print_preview
from vdbcluster.config.ingest import SourceSettings
from vdbcluster.errors import SourceRowError, UsageError
from vdbcluster.model.preview import IngestPreview
from vdbcluster.model.records import FieldSpec, Record, RecordShape, RowFault

ODD = 'a\x1b[31mb\n\x07\x9b2J\u202ec\udcff"\\'
SHOWN = r"a\x1b[31mb\n\x07\x9b2J\u202ec\udcff" + '"\\'
PLAIN = SourceSettings()


def preview(text: str) -> IngestPreview:
    shape = RecordShape(
        FieldSpec("id", "INT64"), FieldSpec("text", "VARCHAR"), template=f"{{{text}}}"
    )
    return IngestPreview(
        source=text,
        collection="c",
        exists=False,
        shape=shape,
        records=(Record(1, 1, text, {text: b"\xff", "n": math.inf}, b"x"),),
        rows=2,
        duplicates=0,
        faulty=1,
        faults=(RowFault(2, text, {"x": [math.nan, text, b"\xff"]}),),
        embedder="m",
        tokens=1,
        requests=1,
        cost=0.0,
        dim=0,
        notes=(text,),
    )


def test_what_could_steer_a_terminal_is_written_as_an_escape() -> None:
    assert printable(ODD) == SHOWN
    assert printable("日本 مرحبا 👍 é") == "日本 مرحبا 👍 é"


def test_notes_and_warnings_are_single_lines_that_steer_nothing() -> None:
    log = io.StringIO()
    observer = TerminalObserver(Console(file=log, soft_wrap=True, highlight=False))
    observer.note(ODD)
    observer.warn(ODD)
    assert log.getvalue().splitlines() == [SHOWN, f"warning: {SHOWN}"]


def test_an_error_steers_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command._end(f"vdbcluster: {ODD}", 1)
    assert capsys.readouterr().err == "vdbcluster: " + SHOWN.replace(r"\n", " ") + "\n"


def test_a_preview_steers_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_preview(preview(ODD))
    shown = capsys.readouterr().out
    assert all(line.isprintable() for line in shown.splitlines())
    assert shown.count(SHOWN) >= 3


def test_a_preview_is_strict_json_whatever_the_rows_hold() -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = json.dumps(preview_json(preview(ODD)), ensure_ascii=False, allow_nan=False)
    told = json.loads(text.encode(), parse_constant=refuse)
    assert told["faults"][0]["raw"]["x"][0] == "nan"
    assert told["records"][0]["fields"]["n"] == "inf"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("", "the source is empty"),
        ("https://someone:secret@example.org/x.csv", "download it"),
    ],
)
def test_no_source_at_all_is_told(source: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as refused:
        open_source(source, PLAIN)
    assert "secret" not in str(refused.value)


def test_closed_standard_input_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="standard input is closed"):
        open_source("-", PLAIN)


def test_a_value_beyond_all_measure_is_told_for_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,n\n" + "x" * (MAX_CELL + 1) + ",1\n")
    with pytest.raises(SourceRowError, match="line 2 has a value of more than 16 million"):
        list(open_source(tmp_path / "a.csv", PLAIN).batches())


def test_nothing_in_a_folder_makes_it_wait(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a text")
    os.mkfifo(tmp_path / "b.txt")
    (tmp_path / "c.txt").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "d.txt"))
        (batch,) = open_source(tmp_path, PLAIN).batches()
    assert [row.number for row in batch.rows] == [1]
    assert [fault.number for fault in batch.faults] == [2, 3, 4]
    assert all("no file but a pipe" in fault.reason for fault in batch.faults)


def test_a_source_whose_name_is_no_text_has_files_of_its_own(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9 \n\x1b.csv")
    files = IngestFiles(tmp_path, name)
    assert files.checkpoint.name.isprintable()
    assert files.checkpoint != IngestFiles(tmp_path, "caf_ __.csv").checkpoint


def test_what_is_put_aside_is_strict_json(tmp_path: Path) -> None:
    files = IngestFiles(tmp_path, "a.csv")
    files.quarantine([RowFault(1, ODD, {"x": [math.nan, ODD, b"\xff"]})])
    told = json.loads(files.quarantined.read_bytes())
    told_again = json.dumps(told, ensure_ascii=False, allow_nan=False).encode()
    assert b"nan" in told_again


def test_a_lock_is_held_by_one_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".a.lock"
    with locked(path) as first, locked(path) as second:
        assert (first, second) == (True, False)
    with locked(path) as again:
        assert again
    assert not path.exists()
