"""The docstrings of the standard library: same rows each time, nothing executed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vdbcluster.adapters.pydocs import MIN_WORDS, standard_library_docs, summary
from vdbcluster.errors import UsageError


@pytest.fixture(scope="module")
def rows():
    return standard_library_docs()


def test_there_are_a_few_thousand_from_many_modules(rows):
    assert 2500 < len(rows) < 5000
    assert len({row.module for row in rows}) > 80


def test_the_same_rows_each_time_whatever_the_hash_seed(rows):
    code = (
        "import hashlib; from vdbcluster.adapters.pydocs import standard_library_docs as docs;"
        "print(hashlib.sha256(repr(docs()).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1
    assert [row.key for row in rows] == sorted({row.key for row in rows})


def test_every_text_is_there_once_and_is_a_summary(rows):
    assert len({row.text.casefold() for row in rows}) == len(rows)
    for row in rows:
        assert len(row.text.split()) >= MIN_WORDS
        assert "\n" not in row.text
        assert not row.text.startswith(">>>")


def test_the_module_is_the_top_of_the_qualified_name(rows):
    for row in rows:
        assert row.key.split(".")[0] == row.module
        assert not any(part.startswith("_") for part in row.key.split("."))
        assert row.module not in {"idlelib", "lib2to3", "test", "turtledemo"}


def test_known_functions_are_found_by_their_public_name(rows):
    by_key = {row.key: row for row in rows}
    assert by_key["textwrap.indent"].text.startswith("Adds 'prefix' to the beginning")
    # Written in _pydatetime and _pydecimal, or not, as the version goes.
    assert {"datetime", "decimal"} <= {row.module for row in rows}


def test_sources_are_parsed_and_never_run(tmp_path):
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "__init__.py").write_text(
        "raise SystemExit('executed')\n"
        "try:\n"
        "    import nothing\n"
        "except ImportError:\n"
        "    def dumps():\n"
        "        'Give back the text of an object\\n        in JSON notation.\\n\\n        More.'\n"
        "if True:\n"
        "    class Tool:\n"
        "        async def work(self):\n"
        "            'Work on one thing after the other until done.'\n"
        "        def _hidden(self):\n"
        "            'A private method that nobody should ever see here.'\n"
    )
    (tmp_path / "json" / "test").mkdir()
    (tmp_path / "json" / "test" / "a.py").write_text("'Seven words that test something or other.'")
    rows = standard_library_docs(tmp_path)
    assert [(row.key, row.text) for row in rows] == [
        ("json.Tool.work", "Work on one thing after the other until done."),
        ("json.dumps", "Give back the text of an object in JSON notation."),
    ]


def test_copies_of_a_text_are_kept_once_under_the_first_name(tmp_path):
    text = "Return the number of things that are here."
    (tmp_path / "wave.py").write_text(f"def b():\n    {text!r}\ndef a():\n    {text.upper()!r}\n")
    assert [row.key for row in standard_library_docs(tmp_path)] == ["wave.a"]


def test_without_sources_there_is_a_clear_line(tmp_path):
    with pytest.raises(UsageError, match="no sources"):
        standard_library_docs(tmp_path)


@pytest.mark.parametrize(
    ("docstring", "text"),
    [
        ("Close.", ""),
        (">>> one(two, three, four) == five and six and seven", ""),
        ("word " * 400, ""),
        ("A b c\n   d e f\n   g h.\n\n   Second paragraph.", "A b c d e f g h."),
        ("", ""),
    ],
)
def test_summary(docstring, text):
    assert summary(docstring) == text
