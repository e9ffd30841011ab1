"""One measurement of the quality bench.

In: a cell, and the settings that its variant changes. Out: a dictionary of plain numbers.
CPU seconds and memory are those of the method alone: modules are imported and kernels compiled
before, on ``WARM_UP_ROWS`` rows. Memory is the peak beyond what the process held by then.
"""

from __future__ import annotations

import resource
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from scripts._bench import quality_variants
from scripts._bench.quality_data import SETS, load
from scripts._bench.quality_methods import METHODS, Found, Method, Task, ours
from scripts._bench.quality_store import Cell, Result

WARM_UP_ROWS = 600


def measure(cell: Cell, sections: quality_variants.Sections, limit: float) -> Result:
    """Run one method on one set, in this process, and score it.

    The process ends by SIGXCPU if the method takes more than ``limit`` CPU seconds.
    """
    warnings.simplefilter("ignore")
    which = next(s for s in SETS if s.name == cell.set)
    vectors, classes = load(which, cell.rows)
    kept = quality_variants.rows(cell.variant, len(vectors))
    task, classes = _task(vectors[kept], which.metric, classes[kept], cell.centred), classes[kept]
    method = _method(cell.method, sections)
    warm_up = _warm_up(method, task)
    _end_after(limit)
    before = _begin_peak()
    cpu, wall = time.process_time(), time.perf_counter()
    found = method.run(task)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {
        "rows": len(classes),
        "classes": task.classes,
        **scores(found.labels, classes),
        "raw": None if found.raw is None else scores(found.raw, classes),
        "recipe": dict(found.recipe),
        "cpu": cpu,
        "wall": wall,
        "memory": max(0.0, _status("VmHWM") - before),
        "warm_up": warm_up,
    }


def scores(labels: Any, classes: Any) -> dict[str, Any]:
    """Quality of ``labels (n,)`` by ``classes (n,)``, where rows of class -1 are not scored.

    Noise, clusters and the largest are those of all rows, as nobody knows which ones are scored.
    """
    from vdbcluster.quality.scores import truth_report

    labels = np.asarray(labels).astype(np.int64)
    told: dict[str, Any] = {
        "clusters": _number(labels[labels >= 0]),
        "noise": float(np.mean(labels < 0)),
        "largest": float(np.bincount(labels[labels >= 0]).max(initial=0) / len(labels)),
    }
    scored = classes >= 0
    if scored.any():
        report = truth_report(classes[scored], labels[scored])
        told |= {
            "ami": report.all_rows.ami,
            "ari": report.all_rows.ari,
            "homogeneity": report.all_rows.homogeneity,
            "homogeneity_clustered": report.clustered.homogeneity,
        }
    return told


def _task(vectors: Any, metric: str, classes: Any, centred: bool) -> Task:
    """The same for everybody. Rows that are the mean itself have no direction; they stay zero."""
    from vdbcluster.graph.distance import mean_direction, prepare

    mean = mean_direction(vectors) if centred and metric == "chord" else None
    points = prepare(vectors, metric, mean=mean)
    return Task(points, metric, _number(classes[classes >= 0]), centred)


def _method(name: str, sections: quality_variants.Sections) -> Method:
    method = METHODS[name]
    if not sections:
        return method
    return ours(name, quality_variants.merged(method.sections or {}, sections))


def _warm_up(method: Method, task: Task) -> float:
    some = np.random.default_rng(1).permutation(len(task.vectors))[:WARM_UP_ROWS]
    few = np.ascontiguousarray(task.vectors[some])
    start = time.perf_counter()
    _: Found = method.run(Task(few, task.metric, min(3, task.classes), task.centred))
    return time.perf_counter() - start


def _end_after(limit: float) -> None:
    last = round(time.process_time() + limit)
    resource.setrlimit(resource.RLIMIT_CPU, (last, resource.getrlimit(resource.RLIMIT_CPU)[1]))


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
