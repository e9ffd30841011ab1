"""What is measured of one collection: the product, the dense recipe, the floor, bare Lite.

In: a ``Place`` (where the database is), settings. Out: dictionaries of plain numbers, ready for
JSON. Each case is a process of its own; one that fails or runs out of time says so under ``note``.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts._bench.process import Outcome, child, run
from vdbcluster.pipeline.cost import one_after_another

BUILD_SECONDS = 3600.0
SIDE_WAY, FULL_WAY = "side-collection", "guarded-upsert"
Result = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What to measure, and with which settings."""

    k: int = 50
    min_cluster_size: int = 15
    min_samples: int = 5
    seed: int = 0
    repeat: int = 1
    limit: float = 600.0
    way: str = "auto"
    options: tuple[str, ...] = ()


@dataclass
class Place:
    """A database; ``spoilt`` are the collections whose rows carry labels by now."""

    uri: str
    server: bool
    work: Path
    plan: Plan
    spoilt: set[str] = field(default_factory=set)

    def fresh(self, n: int) -> str:
        """The collection of ``n`` rows, without labels; its name."""
        name = f"bench_{n}"
        job = {"do": "build", "uri": self.uri, "name": name, "n": n, "seed": self.plan.seed}
        built = self._child(job | {"anew": name in self.spoilt}, BUILD_SECONDS)
        if not built.last_line():
            raise SystemExit(f"the collection {name} could not be built:\n{built.err[-2000:]}")
        told = built.last_line()
        if not told["reused"]:
            tell(f"{name} built: {told['seconds']}, {told['indexed_rows']} rows indexed")
        self.spoilt.discard(name)
        return name

    def drop(self, n: int) -> None:
        self._child({"do": "drop", "uri": self.uri, "name": f"bench_{n}"}, BUILD_SECONDS)

    def _child(self, job: Result, limit: float) -> Outcome:
        return child(job, limit, self.work)

    def product(self, n: int) -> Result:
        """``vdbcluster run``, the quickest of ``repeat``, with all totals."""
        runs = [self._product_once(n) for _ in range(self.plan.repeat)]
        good = [each for each in runs if "note" not in each]
        if not good:
            return runs[0]
        best = min(good, key=lambda each: each["total"])
        totals = [each["total"] for each in good]
        return best | {"totals": totals, "median": statistics.median(totals)}

    def _product_once(self, n: int) -> Result:
        name, plan = self.fresh(n), self.plan
        runs = self.work / "runs"
        shutil.rmtree(runs, ignore_errors=True)
        argv = [str(Path(sys.executable).parent / "vdbcluster"), "run", "--yes"]
        argv += ["--uri", self.uri, "--collection", name, "--runs-dir", str(runs)]
        argv += ["--n-neighbors", str(plan.k), "--min-cluster-size", str(plan.min_cluster_size)]
        argv += ["--min-samples", str(plan.min_samples), "--seed", str(plan.seed)]
        if "--method" not in plan.options:  # what the dense recipe computes
            argv += ["--method", "hdbscan"]
        argv += ["--write-way", plan.way] if plan.way != "auto" else []
        argv += ["--allow-full-upsert"] if plan.way == FULL_WAY else []
        outcome = run([*argv, *plan.options], plan.limit, self.work)
        return self._from_manifest(name, outcome, runs)

    def _from_manifest(self, name: str, outcome: Outcome, runs: Path) -> Result:
        found = sorted(runs.glob("*/manifest.json"))
        manifest = json.loads(found[-1].read_text()) if found else {"facts": {}, "seconds": {}}
        facts, seconds = manifest["facts"], manifest["seconds"]
        way = facts.get("way", {}).get("name", "unknown")
        if way != SIDE_WAY:
            self.spoilt.add(name)
        result: Result = {
            "total": outcome.wall,
            "cpu": outcome.cpu,
            "peak_mb": outcome.peak_mb,
            "load": outcome.load,
            "seconds": seconds | {"other": round(outcome.wall - one_after_another(seconds), 3)},
            "way": way,
            "facts": {k: facts.get(k) for k in ("neighbors", "audit", "clustering", "write")},
        }
        return result | failure(outcome)

    def dense(self, n: int) -> Result:
        """The dense recipe."""
        name, plan = self.fresh(n), self.plan
        self.spoilt.add(name)
        params = {"min_cluster_size": plan.min_cluster_size, "min_samples": plan.min_samples}
        job = {"do": "dense", "uri": self.uri, "name": name, "n": n, "k": plan.k} | params
        outcome = self._child(job, plan.limit)
        measured = {"total": outcome.wall, "cpu": outcome.cpu, "peak_mb": outcome.peak_mb}
        return outcome.last_line() | measured | {"load": outcome.load} | failure(outcome)

    def floor(self, n: int) -> Result:
        """Bare neighbour search, by whom the product asks: the server, or faiss."""
        job: Result = {"do": "local_floor", "n": n, "k": self.plan.k, "seed": self.plan.seed}
        if self.server:
            job |= {"do": "server_floor", "uri": self.uri, "name": self.fresh(n)}
        outcome = self._child(job, self.plan.limit)
        return outcome.last_line() | {"load": outcome.load} | failure(outcome)

    def bare(self, n: int) -> Result:
        """A process that opens and loads the collection, nothing else: Lite lives inside it."""
        outcome = self._child(
            {"do": "opened", "uri": self.uri, "name": self.fresh(n)}, self.plan.limit
        )
        return {"peak_mb": outcome.peak_mb, "total": outcome.wall} | failure(outcome)


def failure(outcome: Outcome) -> Result:
    """A note, if the process did not end well."""
    if outcome.code is None:
        last = outcome.last_line()
        rows = f", {last['rows']:,} rows done" if "rows" in last else ""
        return {"note": f"stopped after {outcome.wall:.0f} s, in {last.get('at', '?')}{rows}"}
    if outcome.code:
        return {"note": f"failed: {outcome.err.strip()[-300:]}"}
    return {}


def tell(line: str) -> None:
    """Progress, on standard error."""
    print(line, file=sys.stderr, flush=True)
