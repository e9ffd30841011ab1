"""How the clusters of a catalogue look on a terminal, and their history in words.

In: entries of a catalogue. Out: lines, or plain values for JSON. Promise: of a lineage that is
damaged or of a kind that is not known, what there is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from vdbcluster.cli.console import output, plain_table, print_pairs, print_table
from vdbcluster.cli.printable import printable
from vdbcluster.cli.render_cards import card_pairs, inner_pairs
from vdbcluster.model.cards import Explanation
from vdbcluster.model.catalogue import CatalogueEntry
from vdbcluster.pipeline.edits import Merged

KEYWORDS_SHOWN = 5
Event = Mapping[str, Any]


def entry_json(entry: CatalogueEntry) -> dict[str, Any]:
    """All fields but the centroid, which a search has more use for than a reader."""
    values = {f.name: getattr(entry, f.name) for f in fields(entry) if f.name != "centroid"}
    return values | {"state": str(entry.state), "lineage": json.loads(entry.lineage)}


def print_clusters(entries: Sequence[CatalogueEntry], left_out: int) -> None:
    """One line for each."""
    console = output()
    if entries:
        headings = ("id", "rows", "stability", "state", "first seen", "last seen", "name")
        left = ("state", "first seen", "last seen", "name", "keywords")
        table = plain_table(*headings, "keywords", left=left)
        for entry in entries:
            table.add_row(*_row(entry))
        print_table(console, table)
    else:
        console.print("No clusters.")
    if left_out:
        console.print(f"{left_out:,} hidden, merged or retired: --all shows them.")


def _row(entry: CatalogueEntry) -> list[str]:
    return [
        str(entry.id),
        f"{entry.size:,}",
        "-" if entry.stability is None else f"{entry.stability:.2f}",
        _state(entry),
        entry.first_seen[:10],
        entry.last_seen[:10],
        printable(entry.name) or "-",
        printable(", ".join(entry.keywords[:KEYWORDS_SHOWN])) or "-",
    ]


def _state(entry: CatalogueEntry) -> str:
    into = "" if entry.merged_into is None else f" into {entry.merged_into}"
    marks = [mark for mark in ("pinned", "hidden") if getattr(entry, mark)]
    return ", ".join([f"{entry.state}{into}", *marks])


def card_json(entry: CatalogueEntry, found: Explanation) -> dict[str, Any]:
    """The entry, with its card, those of the clusters within it, and the run that made them."""
    card = found.get(entry.id)
    told = {
        "explained_by": found.run_id if card else "",
        "card": card.to_json() if card else None,
        "within": [inner.to_json() for inner in found.within(entry.id)],
    }
    return entry_json(entry) | told


def print_cards(
    entries: Sequence[CatalogueEntry], found: Explanation, *, verbose: bool = False
) -> None:
    """One card after another."""
    for number, entry in enumerate(entries):
        if number:
            output().print()
        print_cluster(entry, found, verbose=verbose)
    if not entries:
        output().print("No clusters.")


def print_cluster(
    entry: CatalogueEntry, found: Explanation | None = None, *, verbose: bool = False
) -> None:
    """Everything about one, its history last; ``verbose``: of those within it too."""
    console = output()
    card = found.get(entry.id) if found else None
    stability = "not measured" if entry.stability is None else f"{entry.stability:.2f}"
    lines = [
        ("cluster", str(entry.id)),
        ("name", entry.name or "-"),
        ("description", entry.description or "-"),
        ("state", _state(entry)),
        ("rows", f"{entry.size:,}"),
        ("stability", stability),
        ("persistence", f"{entry.persistence:.2f}"),
    ]
    print_pairs(console, lines)
    if found and card:
        print_pairs(console, card_pairs(card))
        then = "" if card.size == entry.size else f", when it had {card.size:,} rows"
        print_pairs(console, [("explained", f"run {found.run_id}{then}")])
        print_pairs(console, inner_pairs(found.within(entry.id), whole=verbose))
    else:
        shown = [
            ("keywords", ", ".join(entry.keywords) or "-"),
            ("medoid", str(entry.medoid_key)),
            ("exemplars", ", ".join(map(str, entry.exemplar_keys)) or "-"),
        ]
        print_pairs(console, shown)
    seen = [
        ("first seen", f"{entry.first_seen} by run {entry.first_run}"),
        ("last seen", f"{entry.last_seen} by run {entry.last_run}"),
    ]
    print_pairs(console, seen)
    for number, line in enumerate(history(entry.lineage)):
        print_pairs(console, [("" if number else "history", line)])


def print_merge(merged: Merged, cluster: int) -> None:
    """What a merge has done, and how to take it back."""
    report, run_id = merged.report, merged.manifest.run_id
    output().print(
        f"Cluster {cluster} is merged into {merged.entry.id}: {report.written:,} of "
        f"{merged.rows:,} rows have that id now. To take it back: vdbcluster rollback {run_id}"
    )


def history(lineage: str) -> Iterator[str]:
    """One sentence for each event, the oldest first."""
    for event in json.loads(lineage):
        kind = event.get("kind", "?")
        told = _WORDS.get(kind, lambda _, kind=kind: str(kind))(event)
        by = event.get("run")
        yield f"{told} (by {'hand' if by == 'people' else f'run {by}'})"


def _count(event: Event, name: str) -> str:
    rows = event.get(name, 0)
    return "1 row" if rows == 1 else f"{rows:,} rows"


def _parts(event: Event) -> str:
    own = event.get("id")
    told = [
        f"{'itself' if part['id'] == own else part['id']} ({part['share']:.0%})"
        for part in event.get("parts", ())
    ]
    return ", ".join(told)


def _born(event: Event) -> str:
    drawn = f", with rows of {_parts(event)}" if event.get("parts") else ""
    return f"born with {_count(event, 'after')}{drawn}"


def _died(event: Event) -> str:
    went = f", which went to {_parts(event)}" if event.get("parts") else ""
    return f"ended; it had {_count(event, 'before')}{went}"


def _resized(word: str) -> Callable[[Event], str]:
    def told(event: Event) -> str:
        before, after = event.get("before", 0), _count(event, "after")
        return f"{word} from {before:,} to {after}, of which {event.get('kept', 0):,} stayed"

    return told


_WORDS: dict[str, Callable[[Event], str]] = {
    "unchanged": lambda event: f"as many rows as before, {event.get('kept', 0):,} of them the same",
    "grown": _resized("grew"),
    "shrunk": _resized("shrank"),
    "born": _born,
    "split-from": lambda event: f"split from {_parts(event)} with {_count(event, 'after')}",
    "died": _died,
    "merged-into": lambda event: f"merged into {_parts(event)}; it had {_count(event, 'before')}",
    "split-into": lambda event: f"split into {_parts(event)}",
    "merged-from": lambda event: f"made of {_parts(event)}",
    "unmerged": lambda _: "taken out of the cluster that it was merged into",
}
