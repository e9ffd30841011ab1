"""What kind of file this is, by its name and its first bytes.

In: a name, the first bytes of the content. Out: one of the formats that can be read.
Promise: the format that was said is believed unless the bytes belie it; a file of another kind is a
``UsageError`` that says what it seems to be and what to do.
"""

from __future__ import annotations

import json
import re
from pathlib import PurePath
from typing import Literal, cast

from vdbcluster.errors import UsageError

Format = Literal["csv", "tsv", "json", "jsonl", "parquet", "arrow", "npy", "npz", "text"]

NAMES: dict[str, str] = {
    "csv": "CSV",
    "tsv": "TSV",
    "json": "JSON",
    "jsonl": "JSON Lines",
    "parquet": "Parquet",
    "arrow": "Arrow IPC",
    "npy": "a NumPy array",
    "npz": "a NumPy archive",
    "text": "plain text",
}
_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".npy": "npy",
    ".npz": "npz",
    ".txt": "text",
}
_BINARY: frozenset[Format] = frozenset({"parquet", "arrow", "npy", "npz"})
_MAGIC: tuple[tuple[bytes, Format], ...] = (
    (b"PAR1", "parquet"),
    (b"ARROW1", "arrow"),
    (b"\xff\xff\xff\xff", "arrow"),
    (b"\x93NUMPY", "npy"),
)
_FOREIGN = (
    (b"PARE", "an encrypted Parquet file", "decrypt it"),
    (b"FEA1", "a Feather file of version 1", "save it as version 2 or as Parquet"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file", "export the table as CSV"),
    (b"%PDF", "a PDF", "extract its text into .txt files"),
    (b"SQLite format 3", "an SQLite database", "export the table as CSV"),
    (b"\x89HDF", "an HDF5 file", "save the table as Parquet, vectors as .npy"),
    (b"Obj\x01", "an Avro file", "save it as Parquet"),
    (b"ORC", "an ORC file", "save it as Parquet"),
    (b"BZh", "packed by bzip2", "unpack it, or pack it with gzip"),
    (b"\xfd7zXZ", "packed by xz", "unpack it, or pack it with gzip"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd", "unpack it, or pack it with gzip"),
    (b"\x89PNG", "an image", "name a table or a folder of text files"),
    (b"\xff\xd8\xff", "an image", "name a table or a folder of text files"),
    (b"\x7fELF", "a program", "name a table or a folder of text files"),
)
_ZIPPED = (
    (b"xl/", "an Excel workbook", "export the sheet as CSV"),
    (b"word/", "a Word document", "save it as plain text"),
    (b"content.xml", "an OpenDocument file", "export the table as CSV"),
    (b"[Content_Types].xml", "an Office document", "export the table as CSV"),
)
_TAG = re.compile(r"<[A-Za-z!?]")
_ODD = re.compile("[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\ufffd]")
_PICKLE_STARTS = tuple(b"\x80" + bytes([version]) for version in range(2, 6))


def kind_of(name: str, head: bytes, text: str, said: str, *, gzipped: bool = False) -> Format:
    """The format to read a file with.

    ``head``: its first bytes, unpacked; ``text``: the same, decoded; ``said``: what the user named
    or "auto". Raises ``UsageError`` for an empty file and for what cannot be read.
    """
    if not head:
        raise UsageError(f"{name} is empty")
    named = _SUFFIXES.get(_suffix(name))
    wanted = named if said == "auto" else cast("Format", said)
    _refuse_foreign(name, head)
    binary = _binary_kind(head)
    if wanted in _BINARY or binary:
        return _binary(name, wanted, binary, said=said != "auto", gzipped=gzipped)
    return _textual(name, head, text, wanted, said)


def seems(head: bytes) -> str | None:
    """What a file is that should have been text, None if it may be text."""
    foreign = next((what for magic, what, _ in _FOREIGN if head.startswith(magic)), None)
    if foreign:
        return foreign
    if head.startswith(b"PK\x03\x04"):
        return "a zip archive"
    if head.startswith(_PICKLE_STARTS):
        return "a Python pickle"
    if binary := _binary_kind(head):
        return NAMES[binary]
    return "a binary file" if _is_binary(head) else None


def _suffix(name: str) -> str:
    return PurePath(name.lower().removesuffix(".gz")).suffix


def _refuse_foreign(name: str, head: bytes) -> None:
    for magic, what, remedy in _FOREIGN:
        if head.startswith(magic):
            raise UsageError(f"{name} seems to be {what}; {remedy}")
    if head.startswith(b"PK\x03\x04"):
        for member, what, remedy in _ZIPPED:
            if member in head:
                raise UsageError(f"{name} seems to be {what}; {remedy}")
    if head.startswith(_PICKLE_STARTS):
        raise UsageError(
            f"{name} seems to be a Python pickle, which could run anything and is never loaded; "
            "save the table as Parquet, vectors as .npy"
        )


def _binary_kind(head: bytes) -> Format | None:
    if head.startswith(b"PK\x03\x04"):
        return "npz" if b".npy" in head else None
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)


def _binary(
    name: str, wanted: Format | None, found: Format | None, *, said: bool, gzipped: bool
) -> Format:
    if wanted == "arrow" and found is None:
        found = "arrow"  # streams of old versions have no magic bytes; the reader will tell
    if found is None:
        raise UsageError(
            f"{name} should be {NAMES[wanted or 'text']} by {_by(said)}, but its content is not; "
            "check the file, or name its --format"
        )
    if wanted is not None and wanted != found:
        raise UsageError(
            f"{name} seems to be {NAMES[found]}, not {NAMES[wanted]} as {_by(said)} says; "
            f"pass --format {found}"
        )
    if gzipped:
        raise UsageError(f"{name} is {NAMES[found]} packed by gzip; unpack it first")
    return found


def _by(said: bool) -> str:
    return "--format" if said else "its name"


def _textual(name: str, head: bytes, text: str, wanted: Format | None, said: str) -> Format:
    if head.startswith(b"PK\x03\x04"):
        raise UsageError(f"{name} seems to be a zip archive; unpack it and name a file in it")
    start = text.removeprefix("\ufeff").lstrip()
    if _TAG.match(start):
        what = (
            "an HTML page"
            if "<html" in start.lower() or "!doctype html" in start.lower()
            else "XML"
        )
        raise UsageError(
            f"{name} seems to be {what}, not a table; was the download answered by a page?"
        )
    if _is_garbled(text):
        raise UsageError(
            f"{name} seems to be binary, or text in another encoding; name its --format, "
            "or its --encoding (utf-16-le, for instance)"
        )
    found = _json_kind(start)
    if wanted in ("json", "jsonl") or (wanted is None and found):
        return _json(name, wanted, found, said)
    if wanted in ("csv", "tsv") and found and said == "auto":
        raise UsageError(
            f"{name} seems to be {NAMES[found]}, not {NAMES[wanted]}; pass --format {found}"
        )
    return wanted or _separated(name, start)


def _json(name: str, wanted: Format | None, found: Format | None, said: str) -> Format:
    """Array or lines: the content decides, unless the user said."""
    if said in ("json", "jsonl") and found not in (said, None):
        raise UsageError(
            f"{name} seems to be {NAMES[found or said]}, not {NAMES[said]}; pass --format {found}"
        )
    return found or wanted or "json"


def _json_kind(start: str) -> Format | None:
    if start.startswith("["):
        return "json" if start[1:].lstrip()[:1] in ("", "{", "]") else None
    if not start.startswith("{"):
        return None
    first, newline, _ = start.partition("\n")
    if not newline:
        return "jsonl"
    try:
        json.loads(first)
    except ValueError:
        return "json"
    return "jsonl"


def _separated(name: str, start: str) -> Format:
    first = start.splitlines()[0] if start else ""
    if "\t" in first:
        return "tsv"
    if "," in first:
        return "csv"
    raise UsageError(f"the kind of {name} cannot be told; name it with --format")


def _is_binary(head: bytes) -> bool:
    """More than a tenth control characters: no text in an encoding that keeps ASCII."""
    return _is_garbled(head.decode("latin-1"))


def _is_garbled(text: str) -> bool:
    """More than a tenth control characters, or bytes that could not be decoded."""
    return len(_ODD.findall(text)) * 10 > len(text)
