"""How an ingest and its preview look on a terminal, and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from vdbcluster.cli.printable import printable
from vdbcluster.model.lines import one_line
from vdbcluster.model.preview import IngestPreview
from vdbcluster.model.records import EmbedUsage, RecordShape
from vdbcluster.records.values import sayable

if TYPE_CHECKING:
    from vdbcluster.wiring.ingest import IngestResult

CELL = 60


def print_ingest(result: IngestResult) -> None:
    """Rows by what became of them, what embedding took, and the next command."""
    console = _console()
    report = result.report
    lines = [
        ("collection", f"{result.collection}, {report.stored:,} rows"),
        ("read", f"{report.read:,} rows"),
        ("written", f"{report.written:,}"),
    ]
    for name, count in (
        ("unchanged", report.unchanged),
        ("copies", report.duplicates),
        ("done before", report.skipped),
        ("bad", report.faults),
        ("shortened", result.shortened + report.usage.shortened),
    ):
        if count:
            lines.append((name, f"{count:,}"))
    if result.quarantine:
        lines.append(("quarantine", str(result.quarantine)))
    if told := _embedding(report.usage):
        lines.append(("embedding", told))
    for name, text in lines:
        console.print(f"{name:<12} {printable(text)}")
    if report.read == report.skipped:
        console.print("\nNothing new: an earlier run has taken in all rows of this source.")
    if report.stored:
        console.print(f"\nNext: {result.next_command}")


def print_preview(preview: IngestPreview) -> None:
    """The schema, the first rows, and what an ingest would take."""
    console = _console()
    there = "exists" if preview.exists else "would be made"
    console.print(f"{'source':<12} {printable(preview.source)}")
    console.print(f"{'collection':<12} {preview.collection}, {there}")
    console.print()
    console.print(_schema(preview), soft_wrap=False)
    console.print()
    console.print(_rows(preview), soft_wrap=False)
    console.print()
    for name, text in _outlook(preview):
        console.print(f"{name:<12} {printable(text)}")
    for fault in preview.faults:
        console.print(f"{'bad row':<12} {fault.number:,}: {printable(fault.reason)}")
    console.print("\nDry run: nothing was embedded or written. Leave out --dry-run to begin.")


def ingest_json(result: IngestResult) -> dict[str, Any]:
    """For programs."""
    said = {
        "collection": result.collection,
        "report": asdict(result.report),
        "shape": asdict(result.shape),
        "shortened": result.shortened,
        "quarantine": str(result.quarantine) if result.quarantine else None,
        "next": result.next_command,
    }
    return dict(sayable(said))


def preview_json(preview: IngestPreview) -> dict[str, Any]:
    """For programs."""
    said = asdict(preview)
    for record in said["records"]:
        record["content"] = record["content"].hex()
    return dict(sayable(said))


def _console() -> Console:
    return Console(highlight=False, markup=False, soft_wrap=True)


def _embedding(usage: EmbedUsage) -> str:
    if not usage.texts and not usage.cached:
        return ""
    parts = [f"{usage.texts:,} texts in {usage.requests:,} requests", f"{usage.tokens:,} tokens"]
    if usage.cached:
        parts.append(f"{usage.cached:,} from the cache")
    if usage.retries:
        parts.append(f"{usage.retries:,} retries")
    if usage.cost:
        parts.append(f"cost {usage.cost:.4f}")
    return ", ".join(parts)


def _schema(preview: IngestPreview) -> Table:
    shape = preview.shape
    made = "the server" if shape.auto_id else shape.id_field or "a hash of the content"
    rows = [(shape.key.name, f"{shape.key.type} primary key", made)]
    if shape.text:
        rows.append((shape.text.name, shape.text.type, repr(shape.template)))
    rows += [
        (spec.name, f"{spec.type}{' nullable' if spec.nullable else ''}", spec.name)
        for spec in shape.fields
    ]
    size = f"({preview.dim})" if preview.dim else ""
    rows.append((shape.vector_name, f"FLOAT_VECTOR{size}", preview.embedder))
    rows.append(("other fields", "dynamic field" if shape.rest == "dynamic" else "dropped", ""))
    table = _table("field", "type", "from")
    for row in rows:
        table.add_row(*map(_cell, row))
    table.columns[-1].no_wrap = False  # where lines are too short this one gives way, uncut
    table.columns[-1].overflow = "fold"
    return table


def _rows(preview: IngestPreview) -> Table:
    shape: RecordShape = preview.shape
    names = [spec.name for spec in shape.fields]
    table = _table("key", *(["text"] if shape.text else []), *names)
    for record in preview.records:
        cells = [record.key, *([record.text] if shape.text else [])]
        cells += [record.fields.get(name) for name in names]
        table.add_row(*(_cell(value) for value in cells))
    return table


def _outlook(preview: IngestPreview) -> list[tuple[str, str]]:
    lines = [("rows", f"{preview.rows:,}")]
    if preview.duplicates:
        lines.append(("copies", f"{preview.duplicates:,}, left out"))
    if preview.faulty:
        lines.append(("bad", f"{preview.faulty:,}; see --on-error"))
    if preview.requests:
        cost = f", cost {preview.cost:.4f}" if preview.cost else ""
        lines.append(
            ("estimate", f"{preview.tokens:,} tokens in {preview.requests:,} requests{cost}")
        )
    return lines + [("note", note) for note in preview.notes]


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(_cell(heading), overflow="ellipsis", no_wrap=True)
    return table


def _cell(value: object) -> str:
    return one_line("" if value is None else str(value), CELL)
