"""People who look at a search UI while a run writes, and what they must never see.

with Watch(process) as watch:
...
check(watch.answers, runs, first)
"""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
from pymilvus import MilvusClient

from tests.integration.docs import DIM, ROWS
from tests.integration.serve_process import ServeProcess


class Watch:
    """Asks again and again, until it is told to stop, and keeps all answers."""

    PATHS = ("/api/clusters", "/api/search", "/api/clusters/0/rows", "/api/clusters/0",
             "/api/row/similar", "/api/noise", "/api/duplicates", "/api/collection")  # fmt: skip

    def __init__(self, process: ServeProcess) -> None:
        self.answers: list[tuple[str, int, Any]] = []
        self._process, self._ended = process, threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(2)]

    def _ask(self, number: int) -> None:
        turn = number
        while not self._ended.is_set():
            path = self.PATHS[turn % len(self.PATHS)]
            params = {"key": 0} if path == "/api/row/similar" else {"limit": 200}
            self.answers.append((path, *self._process.ask(path, **params)))
            turn += 1
            time.sleep(0.05)  # leave the run some of the machine

    def seen(self, run: str) -> bool:
        """Whether the catalogue of a run was shown."""
        return any(path == "/api/clusters" and found.get("run_id") == run
                   for path, _, found in list(self.answers))  # fmt: skip

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(60)


def add_blob(client: MilvusClient, number: int) -> None:
    """Forty rows of one more cluster."""
    rng = np.random.default_rng(100 + number)
    vectors = rng.normal(rng.normal(0, 3, DIM), 0.4, (40, DIM)).astype(np.float32)
    start = ROWS + 40 * number
    client.insert("docs", [{"id": start + i, "vector": v} for i, v in enumerate(vectors)])


def check(answers: list[tuple[str, int, Any]], runs: list[str], first: int) -> None:
    assert {path for path, _, _ in answers} == set(Watch.PATHS)
    wrong = [(path, status, found) for path, status, found in answers if status != 200]
    assert not wrong, wrong[:3]
    catalogues: dict[str, set[Any]] = {}
    for path, _, found in answers:
        if path == "/api/clusters":
            told = tuple((c["id"], c["size"], tuple(c["keywords"])) for c in found["clusters"])
            catalogues.setdefault(found["run_id"], set()).add(tuple(sorted(told)))
        for row in found.get("rows", []) if path != "/api/collection" else ():
            assert row["cluster"] is None or row["run_id"] in runs
            if row["key"] == "0":
                assert row["cluster"]["id"] == first  # the id stays what it was
    assert set(catalogues) <= set(runs)
    assert len(catalogues) > 1
    for run, seen in catalogues.items():
        (whole,) = seen  # all of one run, never a part of it, never a mixture
        place = runs.index(run)
        assert [size for _, size, _ in whole] == [60] * 4 + [40] * place
        assert [cluster for cluster, _, _ in whole] == list(range(4 + place))
