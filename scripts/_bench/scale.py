"""What ``scripts/bench_scale`` measures: whole runs by stage, peers on vectors, the rule.

In: a server's address, sizes, options. Out: plain dictionaries, ready for JSON. Each run is a
process of its own with bounded time; one that fails or is stopped says so under ``note``.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from scripts._bench import grown
from scripts._bench.cases import failure
from scripts._bench.process import run
from scripts._bench.table import Table
from scripts._bench.vectors import DIM
from vdbcluster.pipeline import cost
from vdbcluster.pipeline.needs import likely_walks

CHILD = Path(__file__).with_name("scale_child.py")
PEERS = ("EVoC", "fast_hdbscan")
FACTS = ("read", "neighbors", "audit", "clustering", "memory", "write", "way")
SETTINGS = ("cluster", "neighbors")
FIRST = ("read", "audit")
Result = dict[str, Any]


@dataclass(frozen=True)
class Whole:
    """A run of the command line on ``scale_<n>``: ``options`` are those of ``vdbcluster run``."""

    uri: str
    work: Path
    seed: int
    limit: float
    options: tuple[str, ...]

    def measure(self, n: int, method: str) -> Result:
        """Seconds and MiB by stage, as the manifest tells them, and of the process as a whole."""
        runs = self.work / "runs"
        shutil.rmtree(runs, ignore_errors=True)
        argv = [str(Path(sys.executable).parent / "vdbcluster"), "run", "--yes", "--load"]
        argv += ["--uri", self.uri, "--collection", name_of(n), "--runs-dir", str(runs)]
        argv += ["--seed", str(self.seed), "--method", method, *self.options]
        outcome = run(argv, self.limit, self.work)
        found = sorted(runs.glob("*/manifest.json"))
        manifest = json.loads(found[-1].read_text()) if found else {"facts": {}, "seconds": {}}
        seconds = manifest["seconds"]
        other = outcome.wall - cost.one_after_another(seconds)
        told = {
            "n": n,
            "method": method,
            "total": outcome.wall,
            "cpu": outcome.cpu,
            "peak_mb": outcome.peak_mb,
            "load": outcome.load,
            "seconds": seconds | {"other": round(other, 3)},
            "disk_mb": round(sum(f.stat().st_size for f in runs.rglob("*") if f.is_file()) / 1e6),
            "facts": {name: manifest["facts"].get(name) for name in FACTS},
            "settings": {name: manifest.get("settings", {}).get(name) for name in SETTINGS},
        }
        return told | failure(outcome)


def middle(results: list[Result]) -> Result:
    """Of several runs of one thing that with the median time, its seconds the medians of all.

    One that failed stands for all.
    """
    if bad := [result for result in results if "note" in result]:
        return bad[0]
    by_time = sorted(results, key=lambda result: result["total"])
    stages = by_time[0]["seconds"].keys()
    seconds = {
        stage: round(median(result["seconds"].get(stage, 0.0) for result in results), 3)
        for stage in stages
    }
    return by_time[len(by_time) // 2] | {"seconds": seconds, "repeats": len(results)}


def name_of(n: int) -> str:
    """The collection of ``n`` rows."""
    return f"scale_{n}"


def peer(python: str, who: str, vectors: Path, n: int, limit: float) -> Result:
    """One clusterer on the first ``n`` vectors of the file."""
    outcome = run([python, str(CHILD), str(vectors), str(n), who], limit, vectors.parent)
    measured = {"who": who, "n": n, "wall": outcome.wall, "cpu": outcome.cpu}
    memory = {"peak_mb": outcome.peak_mb, "vectors_mb": round(n * DIM * 4 / 1e6)}
    return measured | memory | outcome.last_line() | failure(outcome)


def vectors_in(path: Path, n: int, seed: int) -> Path:
    """The file of the first ``n`` vectors of the rule; made where it is missing."""
    if not path.exists():
        half = path.with_suffix(".half")
        held = np.lib.format.open_memmap(half, "w+", np.float32, (n, DIM))
        for start, rows in grown.batches(n, seed):
            held[start : start + len(rows)] = rows
        held.flush()
        half.rename(path)
    return path


def by_stage(results: list[Result]) -> Table:
    """A line for each run, a column for each stage."""
    stages = [stage for stage in cost.SHAPES if any(stage in r["seconds"] for r in results)]
    head = ("rows", "method", *stages, "total s", "CPU s", "own MiB", "files MiB", "peak MB")
    lines = []
    for r in results:
        memory = r["facts"].get("memory") or {}
        seconds = [f"{r['seconds'][s]:.1f}" if s in r["seconds"] else "-" for s in stages]
        peaks = [str(memory.get(name, "-")) for name in ("peak_mb", "files_mb")]
        totals = [f"{r['total']:.0f}", f"{r['cpu']:.0f}", *peaks, f"{r['peak_mb']:.0f}"]
        lines.append((f"{r['n']:,}", r["method"], *seconds, *totals))
    notes = tuple(f"{r['n']:,} {r['method']}: {r['note']}" for r in results if "note" in r)
    return Table("Whole runs, seconds by stage", head, tuple(lines), notes)


def load_of(result: Result, dim: int = DIM) -> cost.Load:
    """What a measured run was asked to do; its settings are those of before where it tells none."""
    found = result["facts"].get("neighbors") or {}
    told = str(found.get("engine", ""))
    kinds = {"HNSW": "graph", "every pair": "exact", "faiss": "local"}
    engine: Any = next((kind for word, kind in kinds.items() if word in told), "cells")
    asked = result.get("settings") or {}
    clusters = result["facts"].get("clustering") or {}
    return cost.Load(
        result["n"],
        dim,
        found.get("n_neighbors", 50),
        likely_walks(result["n"]) if result["method"] == "auto" else 0,
        engine,
        resamples=(asked.get("cluster") or {}).get("resamples", 5),
        audited=(asked.get("neighbors") or {}).get("audit", 200),
        centred=result["method"] == "auto" and engine not in cost.SERVED,
        clustered=1 - clusters["noise"] / clusters["rows"] if clusters else 1.0,
    )


def rates_of(results: list[Result]) -> Table | None:
    """Rates of all runs together, for ``RATES`` of ``pipeline/cost.py``; None without a run."""
    good = [(load_of(r), r["seconds"]) for r in results if "note" not in r]
    if not good:
        return None
    found = cost.fitted(good)
    lines = tuple((stage, ", ".join(f"{rate:.2g}" for rate in found[stage])) for stage in found)
    note = "A rate of 0 is that of a term which no run has, or which the others explain."
    return Table("Rates of all runs, seconds", ("stage", "rates"), lines, (note,))


def prediction(results: list[Result], fit_rows: int) -> list[tuple[Table, cost.Rates]]:
    """Rates from the runs of at most ``fit_rows``, whatever their method, and each run by them.

    A stage that methods share has one rate: what differs are the terms of their loads.
    """
    good = [r for r in results if "note" not in r]
    small = [r for r in good if r["n"] <= fit_rows]
    if len({r["n"] for r in small}) < 2:
        return []
    rates = cost.fitted([(load_of(r), r["seconds"]) for r in small])
    ordered = sorted(good, key=lambda r: (r["method"], r["n"]))
    return [(_compared(r, rates), rates) for r in ordered]


def _compared(result: Result, rates: cost.Rates) -> Table:
    """By the rates as they are; and made those of this run by its reading and audit, which tell how
    quick the machine was just then: as a run itself foretells what is left of it.
    """
    load, took = load_of(result), result["seconds"]
    first = {stage: took[stage] for stage in FIRST if took.get(stage)}
    before = cost.seconds(load, rates)
    scaled = cost.seconds(load, cost.calibrated(rates, load, first))
    off, then = cost.within(before, took), cost.within(scaled, took)
    whole = [result["total"], *(cost.one_after_another(told) for told in (before, scaled))]
    lines = [_line(s, took[s], before[s], off[s], scaled[s], then[s]) for s in off]
    lines.append(
        _line("all", *whole[:2], whole[1] / whole[0] - 1, whole[2], whole[2] / whole[0] - 1)
    )
    head = ("stage", "measured", "predicted", "off", "by its first stages", "off then")
    title = f"{result['n']:,} rows, {result['method']}: measured and predicted seconds"
    return Table(title, head, tuple(lines))


def _line(
    stage: str, measured: float, before: float, off: float, scaled: float, then: float
) -> tuple[str, ...]:
    seconds = (f"{measured:.1f}", f"{before:.1f}", f"{off:+.0%}", f"{scaled:.1f}", f"{then:+.0%}")
    return (stage, *seconds)


def of_peers(results: list[Result]) -> Table:
    """Ratios to the first line of the same number of rows that ended."""
    head = (
        "rows",
        "who",
        "seconds",
        "CPU s",
        "peak MB",
        "clusters",
        "noise",
        "time",
        "CPU",
        "memory",
    )
    lines = []
    for r in results:
        base = next((b for b in results if b["n"] == r["n"] and "note" not in b), None)
        ratios = ("-", "-", "-")
        if base is not None and "seconds" in r:
            ratios = (
                f"{r['seconds'] / base['seconds']:.2f}",
                f"{r['cpu'] / base['cpu']:.2f}",
                f"{(r['peak_mb'] - r['vectors_mb']) / (base['peak_mb'] - base['vectors_mb']):.2f}",
            )
        measured = (f"{r['seconds']:.1f}" if "seconds" in r else f"> {r['wall']:.0f}",)
        counted = (f"{r.get('clusters', '-')}", f"{r['noise']:.0%}" if "noise" in r else "-")
        sizes = (f"{r['cpu']:.0f}", f"{r['peak_mb']:.0f}")
        lines.append((f"{r['n']:,}", r["who"], *measured, *sizes, *counted, *ratios))
    notes = (
        "time, CPU, memory: times that of the first line of these rows; memory beyond the vectors.",
        *(f"{r['n']:,} {r['who']}: {r['note']}" for r in results if "note" in r),
    )
    return Table("From vectors to labels, no database", head, tuple(lines), notes)


def rule_kept(seed: int, small: int = 5000, probes: int = 1500) -> Table:
    """Rows grown from ``small`` base rows against as many real ones: distances to neighbours."""
    from vdbcluster.graph.exact import exact_neighbors

    root = grown.real(seed)
    n = len(root.points)
    few = grown.rooted(root.points[:small])
    which = np.random.default_rng(seed).choice(n, probes, replace=False)
    lines = []
    for name, points in (
        (f"{n:,} real", root.points),
        (f"{n:,} grown from {small:,} real", grown.rows(0, n, seed, few)),
        (f"{small:,} real", few.points),
    ):
        probed = which[which < len(points)] if len(points) < n else which
        _, far = exact_neighbors(points, probed, 50, "chord")
        dimension = -1 / np.log(np.maximum(far[:, :-1], 1e-6) / np.maximum(far[:, -1:], 1e-6)).mean(
            1
        )
        parts = [_quartiles(far[:, k - 1]) for k in (1, 10, 50)]
        lines.append((name, *parts, _quartiles(dimension, 1)))
    head = ("rows", "nearest", "10th", "50th", "dimension")
    note = (
        "Quartiles of chord distances; of the local dimension (maximum likelihood, 50 neighbours)."
    )
    return Table("The rule against real embeddings", head, tuple(lines), (note,))


def _quartiles(values: Any, digits: int = 2) -> str:
    return " ".join(f"{q:.{digits}f}" for q in np.quantile(values, [0.25, 0.5, 0.75]))
