"""Dense groups as files: CSV for tables, Markdown for reading, JSON for programs.

In: ``GroupRow``s of plain values, best first. Out: ``<name>.csv``, ``<name>.md``, ``<name>.json``.
Promise: each file is replaced as a whole or not at all; what a text says changes nothing about the
form: no formula runs in a spreadsheet, no markup comes out of a text.

    write_groups(rows, Path("out"), "dense-groups")

CSV has a line a member, so that it can be filtered and counted; a cell that a spreadsheet would
take for a formula gets an apostrophe before it.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vdbcluster.adapters.replacing import replacing

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-!|~&])")
_LONGEST = 300
"""Characters of a text in Markdown."""
_COLUMNS = ("group", "name", "size", "density", "persistence", "interestingness")


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A row of a group: its key as text, its text if it has one, whether it is the medoid."""

    key: str
    text: str | None
    medoid: bool = False


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group; ``name`` may be empty, ``interestingness`` (0 to 100) unknown."""

    name: str
    density: float
    persistence: float
    members: tuple[MemberRow, ...]
    interestingness: float | None = None


def write_groups(rows: Sequence[GroupRow], folder: Path, name: str) -> tuple[Path, ...]:
    """Write all three, making the folder if need be; ``OSError`` where that cannot be done."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"csv": as_csv(rows), "md": as_markdown(rows), "json": as_json(rows)}
    places = []
    for ending, text in texts.items():
        places.append(folder / f"{name}.{ending}")
        with replacing(places[-1]) as file:
            file.write(text.encode("utf-8", "backslashreplace"))
    return tuple(places)


def as_csv(rows: Iterable[GroupRow]) -> str:
    """A line a member, groups counted from 1; UTF-8, comma, CRLF (RFC 4180)."""
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow((*_COLUMNS, "key", "medoid", "text"))
    for number, row in enumerate(rows, 1):
        score = "" if row.interestingness is None else row.interestingness
        about = (number, _cell(row.name), len(row.members), row.density, row.persistence, score)
        for member in row.members:
            table.writerow(
                (*about, _cell(member.key), int(member.medoid), _cell(member.text or ""))
            )
    return out.getvalue()


def as_markdown(rows: Iterable[GroupRow], *, shown: int = 10) -> str:
    """A heading and the first ``shown`` members of each group, its medoid before the others.

    Of a long text the beginning; the other forms have all of it.
    """
    lines = ["# Dense groups", ""]
    for number, row in enumerate(rows, 1):
        lines += [f"## {number}. {_plain(row.name) or 'Group'}", "", _about(row), ""]
        ordered = sorted(row.members, key=lambda member: not member.medoid)
        for member in ordered[:shown]:
            text = _plain(_beginning(member.text or "(no text)"))
            lines.append(f"- {text} ({_plain(member.key)})")
        if len(ordered) > shown:
            lines.append(f"- and {len(ordered) - shown} more")
        lines.append("")
    return "\n".join(lines)


def as_json(rows: Iterable[GroupRow]) -> str:
    """A list of objects with the names of the fields, by rank."""
    found: list[dict[str, Any]] = [
        {"group": number, "size": len(row.members), **asdict(row)}
        for number, row in enumerate(rows, 1)
    ]
    return json.dumps(found, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _about(row: GroupRow) -> str:
    told = [
        f"{len(row.members)} rows",
        f"{row.density:.2f} times as dense as usual",
        f"persistence {row.persistence:.2f}",
    ]
    if row.interestingness is not None:
        told.append(f"interestingness {row.interestingness:.0f}")
    return ", ".join(told)


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _beginning(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1].rstrip()}…"


def _plain(text: str) -> str:
    """One line without markup."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
