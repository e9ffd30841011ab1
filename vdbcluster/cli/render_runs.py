"""How the runs of a directory look on a terminal: the list, one of them, what is removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from vdbcluster.cli.console import output, plain_table, print_pairs, print_table
from vdbcluster.cli.printable import printable
from vdbcluster.cli.render import print_run
from vdbcluster.cli.render_assign import print_assignment
from vdbcluster.model.manifest import RunManifest, is_assignment

TOLD_IN_FULL = ("read", "neighbors", "audit", "clustering", "identity", "plan", "way")
"""Facts of a run that came as far as a plan."""


def print_history(
    runs: Sequence[Mapping[str, Any]], damaged: Mapping[str, str], where: Path
) -> None:
    """One line for each run, the newest last; then what cannot be read."""
    console = output()
    if not runs and not damaged:
        console.print(f"No runs in {where}.")
        return
    if runs:
        table = plain_table(
            "run",
            "state",
            "age",
            "collection",
            "rows",
            "clusters",
            "noise",
            "changed",
            left=("run", "state", "collection"),
        )
        now = datetime.now(UTC)
        for run in runs:
            table.add_row(*_row(run, now))
        print_table(console, table)
    for why in damaged.values():
        console.print(f"damaged: {printable(why)}")


def _row(run: Mapping[str, Any], now: datetime) -> list[str]:
    started = run["started"]
    noise = run["noise_share"]
    return [
        run["run_id"],
        run["state"],
        "-" if started is None else age_text(now - datetime.fromisoformat(started)),
        run["collection"],
        _count(run["rows"]),
        _count(run["clusters"]),
        "-" if noise is None else f"{noise:.0%}",
        _count(run["changed"]),
    ]


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def age_text(age: timedelta) -> str:
    """``40 s``, ``12 min``, ``5 h``, ``30 d``; a clock that was set back makes it 0 s."""
    seconds = max(0, int(age.total_seconds()))
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


def print_record(manifest: RunManifest, folder: Path) -> None:
    """State and time of a run, where its record is, then what ``run`` printed at its end."""
    console = output()
    print_pairs(
        console,
        [
            ("state", _state(manifest)),
            ("started", manifest.started or "not recorded"),
            ("took", f"{sum(manifest.seconds.values()):,.1f} s"),
            ("record", str(folder)),
        ],
    )
    if is_assignment(manifest):
        print_assignment(manifest)
        return
    if all(name in manifest.facts for name in TOLD_IN_FULL) and "rows" in manifest.facts["plan"]:
        print_run(manifest)
        return
    print_pairs(console, [("collection", manifest.collection), ("run", manifest.run_id)])
    print_pairs(console, _facts(manifest.facts))


def _state(manifest: RunManifest) -> str:
    told = {
        "reading": "reading: it is under way, or ended before it had a plan",
        "planned": "planned: nothing is written",
        "writing": "writing: it is under way, or was interrupted; apply it again to finish",
        "refused": "refused: nothing is written",
        "dry-run": "dry-run: nothing is written",
    }
    return told.get(manifest.state, manifest.state)


def _facts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The plain values of each stage."""
    lines = []
    for name, said in facts.items():
        values = said.items() if isinstance(said, Mapping) else [("", said)]
        plain = [f"{key} {value}".strip() for key, value in values if _is_plain(value)]
        lines.append((name, ", ".join(plain)))
    return lines


def _is_plain(value: object) -> bool:
    return isinstance(value, (str, int, float))


def print_removal(
    removed: Sequence[Mapping[str, Any]], kept: int, damaged: Mapping[str, str], *, done: bool
) -> None:
    """What is to be removed, or was."""
    console = output()
    stay = f"{_runs(kept)} {'stays' if kept == 1 else 'stay'}"
    if not removed:
        console.print(f"Nothing to remove; {stay}.")
    elif done:
        console.print(f"Removed {_runs(len(removed))}; {stay}.")
    else:
        print_history(removed, {}, Path())
    if damaged and (done or not removed):
        console.print(f"Damaged ones are left alone: {', '.join(map(printable, damaged))}")


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"
