"""One input that cannot be taken as it is, and the helpers that write such files."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Kind = Literal["usage", "broken", "fault"]


@dataclass(frozen=True)
class BadInput:
    """``make`` writes into a folder and returns the path to ingest; ``row``: of a fault."""

    name: str
    make: Callable[[Path], Path]
    expected: str
    kind: Kind = "usage"
    row: int = 0
    source: Mapping[str, Any] = field(default_factory=dict)
    ingest: Mapping[str, Any] = field(default_factory=dict)

    def is_told(self, line: str) -> bool:
        """Whether this is the line that the user should see."""
        if self.expected.endswith("*"):
            return line.startswith(self.expected[:-1])
        return line == self.expected


def put(name: str, content: str | bytes, encoding: str = "utf-8") -> Callable[[Path], Path]:
    """A file with this content."""

    def make(folder: Path) -> Path:
        data = content if isinstance(content, bytes) else content.encode(encoding)
        (folder / name).write_bytes(data)
        return folder / name

    return make


def lines(*rows: Any, name: str = "a.jsonl") -> Callable[[Path], Path]:
    """JSON Lines."""
    return put(name, "".join(json.dumps(row) + "\n" for row in rows))


def parquet(columns: Mapping[str, Any], name: str = "a.parquet") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        pq.write_table(pa.table(dict(columns)), folder / name)
        return folder / name

    return make


def npy(array: Any, name: str = "a.npy", **beside: str) -> Callable[[Path], Path]:
    """An array and, by name, files beside it."""

    def make(folder: Path) -> Path:
        np.save(folder / name, array, allow_pickle=True)
        for other, content in beside.items():
            (folder / f"{other}.csv").write_text(content, encoding="utf-8")
        return folder / name

    return make


def npz(name: str = "a.npz", **arrays: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        np.savez(folder / name, **arrays)
        return folder / name

    return make


def cut(make: Callable[[Path], Path], share: float) -> Callable[[Path], Path]:
    """The same file, cut off."""

    def shorter(folder: Path) -> Path:
        path = make(folder)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        return path

    return shorter


def folder_of(**files: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "texts").mkdir()
        for name, content in files.items():
            (folder / "texts" / name.replace("_", ".")).write_bytes(content)
        return folder / "texts"

    return make


def absent(folder: Path) -> Path:
    return folder / "absent.csv"


def zipped(name: str, *members: str) -> Callable[[Path], Path]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member in members:
            archive.writestr(member, "x")
    return put(name, buffer.getvalue())


MANY = "".join(f"row {i} with some words,{i}\n" for i in range(20_000))
GOOD = {"text": "good", "n": 1}
EYE = np.eye(3, dtype=np.float32)
