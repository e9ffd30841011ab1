"""One measurement of the quality bench, and the tables of all.

In: a set, a method. Out: a dictionary of plain numbers.
CPU seconds and memory are those of the method alone: modules are imported and kernels compiled
before, on ``WARM_UP_ROWS`` rows. Memory is the peak beyond what the process held by then.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from scripts._bench.quality_data import SETS, load
from scripts._bench.quality_methods import METHODS, Task

WARM_UP_ROWS = 600
FACTOR = 1.5
LEGEND = f"""
AMI, ARI, homog.: on all rows, noise a class of its own; its clust.: homogeneity of clustered rows;
k x{FACTOR}: sets with clusters within that factor of the classes; CPU s: sum; MB: greatest"""
Result = dict[str, Any]


def measure(set_name: str, method_name: str, rows: int, center: bool) -> Result:
    """Run one method on one set, in this process, and score it."""
    from vdbcluster.quality.scores import truth_report

    warnings.simplefilter("ignore")
    which = next(s for s in SETS if s.name == set_name)
    vectors, classes = load(which, rows)
    scored = classes >= 0
    task = Task(_prepared(vectors, which.metric, center), which.metric, _number(classes[scored]))
    method = METHODS[method_name]
    some = np.random.default_rng(1).permutation(len(vectors))[:WARM_UP_ROWS]
    warm_up = time.perf_counter()
    method.run(Task(np.ascontiguousarray(task.vectors[some]), task.metric, min(3, task.classes)))
    warm_up = time.perf_counter() - warm_up
    before = _begin_peak()
    cpu, wall = time.process_time(), time.perf_counter()
    labels = np.asarray(method.run(task)).astype(np.int64)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    memory = max(0.0, _status("VmHWM") - before)
    report = truth_report(classes[scored], labels[scored])
    return {
        "rows": len(vectors),
        "classes": task.classes,
        "clusters": _number(labels[labels >= 0]),
        "noise": 1 - report.share_clustered,
        "largest": float(np.bincount(labels[labels >= 0]).max(initial=0) / len(labels)),
        "ami": report.all_rows.ami,
        "ari": report.all_rows.ari,
        "homogeneity": report.all_rows.homogeneity,
        "homogeneity_clustered": report.clustered.homogeneity,
        "cpu": cpu,
        "wall": wall,
        "memory": memory,
        "warm_up": warm_up,
    }


def _prepared(vectors: Any, metric: str, center: bool) -> Any:
    """The same for everybody. Rows that are the mean itself have no direction; they stay zero."""
    from vdbcluster.graph.distance import prepare

    return prepare(vectors, metric, centered=center and metric == "chord")


def _number(values: Any) -> int:
    return len(np.unique(values))


def _begin_peak() -> float:
    """Forget the peak of memory until now; what is held now, MB."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


Results = dict[tuple[str, str], Result]


def print_tables(results: Results, out: Any = sys.stdout) -> None:
    """Every figure by set, then the means over the main sets."""
    sets = [s for s in SETS if any(name == s.name for name, _ in results)]
    methods = [name for name in METHODS if any(method == name for _, method in results)]
    for which in sets:
        _set_table(which.name, {m: results.get((which.name, m)) for m in methods}, out)
    main = [s.name for s in sets if s.main]
    if len(main) > 1:
        _mean_table(main, methods, results, out)


COLUMNS = ("AMI", "ARI", "homog.", "its clust.", "noise", "clusters", "largest", "CPU s", "MB")


def _set_table(name: str, found: dict[str, Result | None], out: Any) -> None:
    known: Result = next((r for r in found.values() if r and "note" not in r), {})
    rows, classes = known.get("rows", "?"), known.get("classes", "?")
    print(f"\n{name}: {rows} rows, {classes} classes", file=out)
    print(f"{'':<24}" + "".join(f"{column:>11}" for column in COLUMNS), file=out)
    for method, result in found.items():
        if result is None:
            continue
        told = result.get("note") or _line(result)
        print(f"{method:<24}{told}", file=out)


def _line(r: Result) -> str:
    figures = [f"{r[key]:.3f}" for key in ("ami", "ari", "homogeneity", "homogeneity_clustered")]
    figures += [f"{r['noise']:.0%}", str(r["clusters"]), f"{r['largest']:.0%}"]
    figures += [f"{r['cpu']:.2f}", f"{r['memory']:.0f}"]
    return "".join(f"{figure:>11}" for figure in figures)


def _mean_table(sets: list[str], methods: list[str], results: Results, out: Any) -> None:
    print(f"\nmean over {', '.join(sets)}", file=out)
    heads = ("AMI", "ARI", "homog.", "its clust.", "noise", f"k x{FACTOR}", "CPU s", "MB")
    print(f"{'':<24}" + "".join(f"{head:>11}" for head in heads), file=out)
    for method in methods:
        done = [results.get((name, method), {"note": "not run"}) for name in sets]
        good = [r for r in done if "note" not in r]
        if len(good) < len(sets):
            print(f"{method:<24}only {len(good)} of {len(sets)} sets", file=out)
            continue
        print(f"{method:<24}{_mean_line(good)}", file=out)
    print(LEGEND, file=out)


def _mean_line(done: list[Result]) -> str:
    keys = ("ami", "ari", "homogeneity", "homogeneity_clustered")
    figures = [f"{_mean(r[key] for r in done):.3f}" for key in keys]
    figures.append(f"{_mean(r['noise'] for r in done):.0%}")
    figures.append(f"{sum(_near(r) for r in done)}/{len(done)}")
    figures.append(f"{sum(r['cpu'] for r in done):.1f}")
    figures.append(f"{max(r['memory'] for r in done):.0f}")
    return "".join(f"{figure:>11}" for figure in figures)


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _near(r: Result) -> bool:
    return bool(1 / FACTOR <= r["clusters"] / r["classes"] <= FACTOR)
