"""Files that are of another kind, or that break their own: texts, CSV, JSON."""

from __future__ import annotations

import gzip
import pickle

import pyarrow as pa

from tests.bad_inputs.case import (
    EYE,
    GOOD,
    MANY,
    BadInput,
    absent,
    cut,
    folder_of,
    lines,
    npy,
    parquet,
    put,
    zipped,
)

CASES: tuple[BadInput, ...] = (
    # ---- the file as a whole
    BadInput("absent", absent, "{path} does not exist"),
    BadInput("empty file", put("a.csv", ""), "{path} is empty"),
    BadInput("empty gzip", put("a.csv.gz", gzip.compress(b"")), "{path} is empty"),
    BadInput("header only", put("a.csv", "text,n\n"), "{path} (CSV) holds no row"),
    BadInput("only blank lines", put("a.jsonl", "\n\n\n"), "{path} (JSON Lines) holds no row"),
    BadInput("empty array", put("a.json", "[]"), "{path} (JSON) holds no row"),
    BadInput("empty folder", folder_of(), "the folder {path} holds no file"),
    BadInput(
        "table without rows",
        parquet({"text": pa.array([], pa.string())}),
        "{path} (Parquet) holds no row",
    ),
    BadInput(
        "unknown kind",
        put("a.dat", "some words\nmore words\n"),
        "the kind of {path} cannot be told; name it with --format",
    ),
    BadInput(
        "unknown encoding",
        put("a.csv", "text\nx\n"),
        "there is no encoding 'utf-9'; for instance utf-8, cp1252, shift_jis, gb18030",
        source={"encoding": "utf-9"},
    ),
    BadInput(
        "no delimiter",
        put("a.csv", "text\nx\n"),
        "the delimiter '::' is not a single character, such as ; or tab",
        source={"delimiter": "::"},
    ),
    BadInput(
        "side file without npy",
        put("a.csv", "text\nx\n"),
        "--side-file goes with vectors in a .npy file; {path} is none",
        source={"side_file": "b.csv"},
    ),
    BadInput(
        "folder as csv",
        folder_of(a_txt=b"x"),
        "{path} is a folder of texts; name one file for --format",
        source={"format": "csv"},
    ),
    # ---- of another kind than it seems
    BadInput(
        "parquet named csv",
        parquet({"text": ["x"]}, "a.csv"),
        "{path} seems to be Parquet, not CSV as its name says; pass --format parquet",
    ),
    BadInput(
        "csv named parquet",
        put("a.parquet", "text,n\nx,1\n"),
        (
            "{path} should be Parquet by its name, but its content is not; check the file, "
            "or name its --format"
        ),
    ),
    BadInput(
        "npy said parquet",
        npy(EYE),
        ("{path} seems to be a NumPy array, not Parquet as --format says; pass --format npy"),
        source={"format": "parquet"},
    ),
    BadInput(
        "json named csv",
        put("a.csv", '[{"text": "x"}]'),
        "{path} seems to be JSON, not CSV; pass --format json",
    ),
    BadInput(
        "web page",
        put("a.csv", "<!DOCTYPE html>\n<html><body>404</body></html>"),
        ("{path} seems to be an HTML page, not a table; was the download answered by a page?"),
    ),
    BadInput(
        "xml",
        put("a.json", "<?xml version='1.0'?><rows/>"),
        "{path} seems to be XML, not a table; was the download answered by a page?",
    ),
    BadInput(
        "excel",
        zipped("a.xlsx", "[Content_Types].xml", "xl/workbook.xml"),
        "{path} seems to be an Excel workbook; export the sheet as CSV",
    ),
    BadInput(
        "zip",
        zipped("a.zip", "a.csv"),
        "{path} seems to be a zip archive; unpack it and name a file in it",
    ),
    BadInput(
        "pickle",
        put("a.pkl", pickle.dumps([GOOD])),
        (
            "{path} seems to be a Python pickle, which could run anything and is never "
            "loaded; save the table as Parquet, vectors as .npy"
        ),
    ),
    BadInput(
        "pickle named npy",
        put("a.npy", pickle.dumps([GOOD])),
        (
            "{path} seems to be a Python pickle, which could run anything and is never "
            "loaded; save the table as Parquet, vectors as .npy"
        ),
    ),
    BadInput(
        "pdf",
        put("a.txt", b"%PDF-1.7 ..."),
        "{path} seems to be a PDF; extract its text into .txt files",
    ),
    BadInput(
        "zstd",
        put("a.csv.zst", b"\x28\xb5\x2f\xfd...."),
        "{path} seems to be packed by zstd; unpack it, or pack it with gzip",
    ),
    BadInput(
        "parquet in gzip",
        put("a.parquet.gz", gzip.compress(b"PAR1....PAR1")),
        "{path} is Parquet packed by gzip; unpack it first",
    ),
    BadInput(
        "binary named csv",
        put("a.csv", bytes(range(32)) * 30),
        (
            "{path} seems to be binary, or text in another encoding; name its --format, or "
            "its --encoding (utf-16-le, for instance)"
        ),
    ),
    BadInput(
        "utf-16 without mark",
        put("a.csv", "text,n\nx,1\n", "utf-16-le"),
        (
            "{path} seems to be binary, or text in another encoding; name its --format, or "
            "its --encoding (utf-16-le, for instance)"
        ),
    ),
    BadInput(
        "lines said json",
        lines(GOOD, GOOD),
        "{path} seems to be JSON Lines, not JSON; pass --format jsonl",
        source={"format": "json"},
    ),
    BadInput(
        "array said jsonl",
        put("a.json", '[{"text": 1}]'),
        "{path} seems to be JSON, not JSON Lines; pass --format json",
        source={"format": "jsonl"},
    ),
    BadInput(
        "one object",
        put("a.json", '{\n "text": ["a", "b"]\n}'),
        (
            "{path} is one JSON object, not an array of objects; write the rows as [{...}, "
            "{...}], or one a line with --format jsonl"
        ),
    ),
    # ---- CSV
    BadInput(
        "too few values",
        put("a.csv", "text,n\nx,1\ny\nz,3\n"),
        "line 3 has 1 value, the header has 2 fields",
        "fault",
        2,
    ),
    BadInput(
        "too many values",
        put("a.csv", 'text,n\n"x\ny",1\ny,2,3\n'),
        "line 4 has 3 values, the header has 2 fields",
        "fault",
        2,
    ),
    BadInput(
        "comma without quotes",
        put("a.csv", "text\nyes, well\n"),
        "line 2 has 2 values, the header has 1 field",
        "fault",
        1,
    ),
    BadInput(
        "text behind a quote",
        put("a.csv", 'text,n\n"x" y,1\nz,2\n'),
        "line 2: a quote ends before the value does; double the quotes within a value",
        "fault",
        1,
    ),
    BadInput(
        "quote never closed",
        put("a.csv", 'text,n\nx,1\n"y,2\nz,3\n'),
        "{path}: a quote is opened in the row at line 3 and never closed",
        "broken",
    ),
    BadInput(
        "same name twice",
        put("a.csv", "text,n,text\nx,1,y\n"),
        "{path}: columns 1 and 3 are both called 'text'",
    ),
    BadInput(
        "semicolons",
        put("a.csv", "text;n\nx;1\n"),
        (
            "{path}: the header is one field, 'text;n'; its fields seem to be separated by "
            "';': pass --delimiter ';'"
        ),
    ),
    BadInput(
        "no header",
        put("a.csv", "1,2.5\n2,3.5\n"),
        (
            "{path} begins with values ('1,2.5'), not with a header line that names the "
            "fields; put one first"
        ),
    ),
    BadInput(
        "blank header",
        put("a.csv", ",,\nx,y,z\n"),
        "{path} does not begin with a header line that names the fields",
    ),
    BadInput(
        "latin-1",
        put("a.csv", "text,n\nx,1\ncafé,2\n", "latin-1"),
        "line 3 holds bytes that are not utf-8; say the right --encoding",
        "fault",
        2,
    ),
    BadInput(
        "latin-1 header",
        put("a.csv", "café,n\nx,1\n", "latin-1"),
        "{path}: the header holds bytes that are not utf-8; say the right --encoding",
    ),
    BadInput(
        "NUL in a text",
        put("a.csv", "text,n\nx,1\nmore y\0z,2\n"),
        "the text (field 'text') holds a NUL character",
        "fault",
        2,
    ),
    BadInput(
        "gzip cut off",
        cut(put("a.csv.gz", gzip.compress(MANY.encode())), 0.7),
        "{path}: the gzip file is damaged or cut off",
        "broken",
    ),
    BadInput(
        "utf-16 cut off",
        put("a.csv", ("text\n" + "ab\n" * 99).encode("utf-16") + b"\0"),
        ("{path} holds bytes after line 100 that are not utf-16-le; say the right --encoding"),
        "broken",
    ),
    # ---- JSON
    BadInput(
        "bad line",
        put("a.jsonl", '{"text": "x"}\n\n{"text": y}\n'),
        "line 3 is no JSON: expecting value at character 10",
        "fault",
        2,
    ),
    BadInput("line without object", lines(GOOD, [1, 2]), "line 2 is no object: [1, 2]", "fault", 2),
    BadInput(
        "line cut off",
        put("a.jsonl", '{"text": "x"}\n{"text": "y'),
        "line 2 is no JSON: unterminated string at character 10",
        "fault",
        2,
    ),
    BadInput(
        "undecodable line",
        put("a.jsonl", b'{"text": "x"}\n{"text": "\xff"}\n'),
        "line 2 holds bytes that are not utf-8; say the right --encoding",
        "fault",
        2,
    ),
    BadInput(
        "deep line",
        put("a.jsonl", '{"text": "x"}\n' + "[" * 100_000),
        "line 2 is nested too deeply",
        "fault",
        2,
    ),
    BadInput(
        "too many digits",
        put("a.jsonl", '{"text": "x", "n": ' + "9" * 5000 + "}\n"),
        "line 1 is no JSON: a number has too many digits",
        "fault",
        1,
    ),
    BadInput(
        "array cut off",
        put("a.json", '[{"text": "x"}, {"text": "y'),
        (
            "{path} breaks off at element 2: unterminated string at character 10; what "
            "follows cannot be read"
        ),
        "broken",
    ),
    BadInput(
        "array without end",
        put("a.json", '[{"text": "x"}, {"text": "y"}'),
        (
            "{path} breaks off at element 2: the file ends before the array does; what "
            "follows cannot be read"
        ),
        "broken",
    ),
    BadInput(
        "bad element",
        put("a.json", '[{"text": "x"}, {"text": y}]'),
        (
            "{path} breaks off at element 2: expecting value at character 10; what follows "
            "cannot be read"
        ),
        "broken",
    ),
    BadInput(
        "missing comma",
        put("a.json", '[{"text": "x"} {"text": "y"}]'),
        (
            "{path} breaks off at element 1: after it comes '{' in place of , or ]; what "
            "follows cannot be read"
        ),
        "broken",
    ),
    BadInput(
        "after the array",
        put("a.json", '[{"text": "x"}]\n[{"text": "y"}]'),
        (
            '{path} goes on after its array with \'[{"text": "y"}]\'; one array is expected, '
            "or one object a line (--format jsonl)"
        ),
        "broken",
    ),
    BadInput(
        "element is no object",
        put("a.json", '[{"text": "x"}, 5]'),
        "element 2 is no object: 5",
        "fault",
        2,
    ),
    BadInput(
        "half a surrogate pair",
        lines(GOOD, {"text": "x\ud800", "n": 2}),
        "the text (field 'text') holds half a surrogate pair, which is no character",
        "fault",
        2,
    ),
    BadInput(
        "infinite number",
        put("a.jsonl", '{"text": "x", "n": Infinity}'),
        "the field 'n' holds a number that is infinite or none at all",
        "fault",
        1,
    ),
)
