"""A whole run through a connection that fails as a seed says, and what must hold afterwards.

In: a server, a seed. Out: ``Outcome``: how the run ended, and every promise that was broken.
Promise: what is checked is read past the proxy with plain pymilvus, and is compared with a run of
the same command on the same rows without faults.

    site = Site(backend, home)
    outcome = site.suffer(7)
    assert not outcome.violations
"""

from __future__ import annotations

import random
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from tests import zoo
from tests.backends import REAL_SERVER, Backend, connected
from tests.faults.commands import vdbcluster
from tests.faults.wire import KINDS, Direction, Fault, Kind, wire
from tests.snapshot import Snapshot, diff, rows_of, snapshot

ROWS = 300
HASTY = ("--timeout=5", "--patience=12")
"""Of the runs with faults: some outages are longer."""
LASTS: dict[Kind, tuple[float, float]] = {
    "delay": (0.5, 8.0),
    "slow": (1.0, 6.0),
    "refuse": (0.2, 20.0),
    "hole": (0.5, 20.0),
}
REFUSALS = (1, 4, 5)
"""Exit codes of a run that a fault may stop: never that the user did something wrong."""
GENERATION = re.compile(r"_clusters_vdbcluster_[0-9a-f]{16}_")
LOCK = re.compile(r"_vdbcluster_lock_")
SCRATCH = "vdbcluster_probe_"
Finished = subprocess.CompletedProcess[str]
Label = tuple[int, float, str]
Labels = dict[Any, Label]


@dataclass(frozen=True)
class Way:
    """How labels are written, and into what kind of collection."""

    name: str
    specimen: str

    @property
    def aside(self) -> bool:
        return self.name == "side-collection"


SIDE = Way("side-collection", "hnsw-varchar")
LITE_WAYS = (Way("lite-merge", "partitions-int"), SIDE)
SERVER_WAYS = (Way("guarded-upsert", "partitions-int"), SIDE, SIDE)


@dataclass(frozen=True)
class Usual:
    """A run without faults: the bytes that pass, and the labels that it leaves."""

    passed: dict[Direction, int]
    labels: Labels


@dataclass
class Outcome:
    """``code`` and ``line`` (the last one of standard error) are those of the run with faults."""

    seed: int
    way: str
    plan: tuple[Fault, ...]
    struck: int = 0
    code: int = 0
    line: str = ""
    labelled: int = 0
    seconds: float = 0.0
    left_scratch: bool = False
    violations: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """For a table: complete, or why not."""
        if self.code == 0:
            return "complete"
        return f"exit {self.code}: {_gist(self.line)}"


def planned(seed: int, usual: dict[Direction, int]) -> tuple[Fault, ...]:
    """One to three faults, spread over the bytes of a run; every kind in its turn."""
    rng = random.Random(seed)
    kinds = [KINDS[seed % len(KINDS)], *rng.choices(KINDS, k=rng.choice((0, 0, 1, 2)))]
    faults = []
    for kind in kinds:
        way: Direction = rng.choice(("up", "down", "down"))
        seconds = rng.uniform(*LASTS[kind]) if kind in LASTS else 0.0
        faults.append(Fault(kind, way, int(rng.random() * usual[way]), round(seconds, 1)))
    return tuple(sorted(faults, key=lambda fault: fault.at))


class Site:
    """A server, and a directory for the records of runs; seeds may be suffered side by side.

    Making one lets each way run without faults once: threads that suffer never learn.
    """

    def __init__(self, backend: Backend, home: Path) -> None:
        self._backend, self._home = backend, home
        self._port = int(backend.uri.rpartition(":")[2])
        self._ways = SERVER_WAYS if backend.name == REAL_SERVER else LITE_WAYS
        self._usual = {way: self._learn(way) for way in dict.fromkeys(self._ways)}

    def suffer(self, seed: int) -> Outcome:
        """One seed: a collection, a run with faults, a look, a run without, another look."""
        way = self._ways[seed % len(self._ways)]
        usual = self._usual[way]
        name = f"fault_{seed}"
        outcome = Outcome(seed, way.name, planned(seed, usual.passed))
        with connected(self._backend) as client:
            before = self._build(client, name, way)
            try:
                self._run_with_faults(name, way, outcome)
                look = Look(client, name, way, usual.labels, before)
                outcome.violations += look.after_faults(outcome)
                again = self._run(name, way, self._backend.uri, "--lock-wait=90")
                outcome.violations += look.after_repair(again)
                outcome.left_scratch = any(
                    found.startswith(SCRATCH) for found in client.list_collections()
                )
            finally:
                _clear(client, name)
        return outcome

    def _learn(self, way: Way) -> Usual:
        name = f"usual_{way.name.replace('-', '_')}"
        with connected(self._backend) as client, wire(self._port) as proxy:
            before = self._build(client, name, way)
            done = self._run(name, way, f"http://127.0.0.1:{proxy.port}")
            labels = read_labels(client, name, way)
            harm = diff(before, snapshot(client, name))
            _clear(client, name)
        if done.returncode or len(labels) != ROWS or harm:
            raise RuntimeError(f"a run without faults failed: {done.stderr} {harm[:3]}")
        return Usual(dict(proxy.passed), labels)

    def _build(self, client: MilvusClient, name: str, way: Way) -> Snapshot:
        _clear(client, name)
        zoo.build(client, name, zoo.by_name(way.specimen), rows=ROWS)
        return snapshot(client, name)

    def _run_with_faults(self, name: str, way: Way, outcome: Outcome) -> None:
        start = time.monotonic()
        with wire(self._port, outcome.plan) as proxy:
            done = self._run(name, way, f"http://127.0.0.1:{proxy.port}", *HASTY)
            outcome.struck = len(proxy.struck)
        outcome.seconds = time.monotonic() - start
        outcome.code = done.returncode
        lines = done.stderr.strip().splitlines()
        outcome.line = lines[-1] if lines else ""
        outcome.violations += _told_badly(done)

    def _run(self, name: str, way: Way, uri: str, *more: str) -> Finished:
        return vdbcluster(
            self._home / name,
            "run",
            "--yes",
            f"--uri={uri}",
            f"--collection={name}",
            f"--write-way={way.name}",
            "--allow-full-upsert",
            "--min-cluster-size=10",
            "--write-batch=100",
            "--lock-lease=15",
            *more,
        )


@dataclass(frozen=True)
class Look:
    """What an independent reader finds in a collection."""

    client: MilvusClient
    name: str
    way: Way
    expected: Labels
    before: Snapshot

    def after_faults(self, outcome: Outcome) -> list[str]:
        found = read_labels(self.client, self.name, self.way)
        outcome.labelled = len(found)
        wrong = self._harm() + differences(found, self.expected)
        if outcome.code == 0 and len(found) != ROWS:
            wrong.append(f"exit 0, but {len(found)} of {ROWS} rows have labels")
        if outcome.code == 0:
            wrong += self._catalogue(found)
        return wrong

    def after_repair(self, done: Finished) -> list[str]:
        if done.returncode:
            return [f"the second run failed: exit {done.returncode}, {done.stderr[-300:]}"]
        found = read_labels(self.client, self.name, self.way)
        wrong = self._harm() + differences(found, self.expected)
        if len(found) != ROWS:
            wrong.append(f"after the second run {len(found)} of {ROWS} rows have labels")
        return wrong + self._catalogue(found) + self._left_over()

    def _harm(self) -> list[str]:
        return diff(self.before, snapshot(self.client, self.name))[:3]

    def _catalogue(self, labels: Labels) -> list[str]:
        """The clusters that it calls live are those that rows are in, each with as many."""
        alias = f"{self.name}_clusters"
        try:
            self.client.load_collection(alias)
            rows = self.client.query(
                alias,
                filter='state == "live"',
                output_fields=["cluster_id", "size"],
                limit=1000,
                consistency_level="Strong",
            )
        except MilvusException as error:
            return [f"the catalogue cannot be read: {error}"]
        told = {row["cluster_id"]: row["size"] for row in rows}
        true = Counter(label[0] for label in labels.values() if label[0] != -1)
        return [] if told == true else [f"the catalogue says {told}, the rows {dict(true)}"]

    def _left_over(self) -> list[str]:
        mine = [n for n in self.client.list_collections() if n.startswith(f"{self.name}_")]
        locks = [name for name in mine if LOCK.search(name)]
        generations = [name for name in mine if GENERATION.search(name)]
        wrong = [f"a lock is left: {name}" for name in locks]
        if len(generations) > 2:  # the one before stays, for those who read it
            wrong.append(f"catalogues are left: {generations}")
        return wrong


def read_labels(client: MilvusClient, name: str, way: Way) -> Labels:
    """Cluster, probability and kind of every row that has a label, by key."""
    place = f"{name}_cluster_labels" if way.aside else name
    if not client.has_collection(place):
        return {}
    if way.aside:
        try:
            client.load_collection(place)
        except MilvusException:  # made, but not indexed yet: nothing was written to it
            return {}
    return {
        key: (row["cluster_id"], row["cluster_probability"], row["cluster_assignment"])
        for _, key, row in rows_of(client, place)
        if row.get("cluster_id") is not None
    }


def differences(found: Labels, expected: Labels) -> list[str]:
    """Where labels differ by more than the numbers of the clusters."""
    numbers: dict[int, int] = {-1: -1}
    wrong = []
    for key, (cluster, probability, kind) in found.items():
        should = expected.get(key)
        if should is None:
            wrong.append(f"a row {key!r} that was never there has a label")
            continue
        same = numbers.setdefault(cluster, should[0]) == should[0]
        if not same or kind != should[2] or abs(probability - should[1]) > 1e-4:
            wrong.append(f"row {key!r} is {(cluster, probability, kind)}, should be {should}")
    if len(set(numbers.values())) != len(numbers):
        wrong.append(f"clusters were mixed up: {numbers}")
    return wrong[:3]


def _told_badly(done: Finished) -> list[str]:
    """An end in good order is exit 0, or a code of its own and one line that says why."""
    if done.returncode == 0:
        return []
    wrong = []
    if done.returncode not in REFUSALS:
        wrong.append(f"exit code {done.returncode}: {done.stderr[-300:]}")
    told = [line for line in done.stderr.splitlines() if line.startswith("vdbcluster: ")]
    if len(told) != 1 or not done.stderr.strip().endswith(told[-1]):
        wrong.append(f"not one last line: {done.stderr[-400:]}")
    if "Traceback" in done.stderr:
        wrong.append("a traceback")
    return wrong


def _gist(line: str) -> str:
    """The error without names, numbers and what the server said."""
    line = re.sub(r"\(.*", "", line.removeprefix("vdbcluster: "))
    line = re.sub(r"'[^']*'|http://\S+", "...", line)
    return re.sub(r"\d[\d,]*", "N", line).strip()[:110]


def _clear(client: MilvusClient, name: str) -> None:
    """Drop the collection, and all that was made beside it."""
    doing: list[tuple[Callable[..., Any], str]] = [(client.drop_alias, f"{name}_clusters")]
    doing += [
        (client.drop_collection, found)
        for found in client.list_collections()
        if found == name or found.startswith(f"{name}_")
    ]
    for drop, what in doing:
        drop(what)
