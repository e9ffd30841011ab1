"""A search UI over rows in memory, for the tests of its API.

In: nothing. Out: a ``World``: ten rows in two clusters, noise and a row without a label, with texts
that attack a page; a catalogue of them; a client of the application.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from fastapi import FastAPI
from starlette.testclient import TestClient

from vdbcluster.adapters.memory import MemorySink
from vdbcluster.adapters.memory_catalogue import MemoryCatalogue
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.memory_live import MemoryLive
from vdbcluster.adapters.memory_runs import MemoryRuns
from vdbcluster.errors import UsageError
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry, ClusterState
from vdbcluster.model.labels import LabelBatch, LabelFields
from vdbcluster.model.live import LARGEST_ID
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.maps import MapLayout
from vdbcluster.pipeline.browse import Browser
from vdbcluster.pipeline.browse_edits import Editing
from vdbcluster.pipeline.browse_map import MapShelf
from vdbcluster.pipeline.browse_services import Services
from vdbcluster.pipeline.browse_shelf import Shelf
from vdbcluster.pipeline.browse_text import TextSearch
from vdbcluster.pipeline.edits import Edit, change_entry, merging, unmerge
from vdbcluster.pipeline.map_record import keep_layout
from vdbcluster.ports.embedder import BatchLimits
from vdbcluster.server.access import Access
from vdbcluster.server.app import create_app

RUN = "20260301T030000-abc123"
ATTACK = "<script>alert(1)</script>\"'`&</td>\u2028\u202e end"
BIG = 2**53 + 1
KEYS = (*range(1, 9), BIG, LARGEST_ID - 1)
CLUSTERS = (0, 0, 0, 0, 7, 7, 7, -1, -1, None)
HOST = {"host": "127.0.0.1:8080"}
EDIT = {"x-vdbcluster": "edit", "content-type": "application/json"}
TOKEN = "right horse"
DIM = 3


class Words:
    """An embedder: a text is near the rows of cluster 0 or 7 as it says ``zero`` or ``seven``."""

    description = "words"
    limits = BatchLimits(8, 100)
    usage = SimpleNamespace()

    def __init__(self, dim: int = DIM) -> None:
        self.dim, self.asked = dim, list[str]()

    def tokens(self, text: str) -> int:
        return len(text)

    def embed(self, texts: Sequence[str]) -> Float32Array:
        self.asked += texts
        found = np.zeros((len(texts), self.dim), np.float32)
        for row, text in enumerate(texts):
            found[row, 1 if "seven" in text else 0] = 1
            found[row, 2] = 0.1
        return found

    def close(self) -> None:
        self.dim = 0


@dataclass
class World:
    held: MemoryCollection
    catalogue: MemoryCatalogue
    runs: MemoryRuns
    embedder: Words
    services: Services
    merged: list[tuple[int, int]] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    clients: dict[Any, TestClient] = field(default_factory=dict)

    def app(self, *, edits: bool = False, **access: Any) -> FastAPI:
        services = self.services if edits else replace(self.services, editing=None)
        return create_app(services, Access(**access), self.warned.append)

    def client(self, *, edits: bool = False, **access: Any) -> TestClient:
        """The same one for the same words: an application takes a while to make."""
        known = (edits, *sorted(access.items()))
        if known not in self.clients:
            made = self.app(edits=edits, **access)
            self.clients[known] = TestClient(
                made, base_url="http://127.0.0.1:8080", raise_server_exceptions=False, headers=HOST
            )
        return self.clients[known]


def entry(i: int, size: int, medoid: int, middle: Sequence[float], **more: Any) -> CatalogueEntry:
    centroid = np.array(middle, np.float32)
    return CatalogueEntry(i, size, medoid, (medoid,), centroid, **more)


def make_world(embedder: Words | None = None, clock: Callable[[], float] | None = None) -> World:
    held = _rows()
    catalogue, runs = MemoryCatalogue(held), MemoryRuns()
    entries = (
        entry(0, 4, 1, (1, 0, 0), name=ATTACK, keywords=("zero", ATTACK), first_run=RUN),
        entry(3, 0, 1, (1, 1, 0), state=ClusterState.RETIRED),
        entry(7, 3, 5, (0, 1, 0), keywords=("seven", "late"), stability=0.5, pinned=True),
        entry(8, 2, 5, (0, 0.9, 0.1), name="hidden one", hidden=True),
    )
    catalogue.replace(Catalogue(entries, RUN, held.identity))
    _recorded(runs, held)
    live, asked = MemoryLive(held, parse=_parse), embedder or Words()
    texts = TextSearch(lambda: asked, lambda: live.vector_field)
    shelf = Shelf(lambda: catalogue, runs, "cluster_", **({"clock": clock} if clock else {}))
    browser = Browser(live, shelf, texts, ours=LabelFields().every)
    world = World(held, catalogue, runs, asked, None)  # type: ignore[arg-type]

    def change(cluster: int, edit: Edit) -> CatalogueEntry:
        return change_entry(catalogue, cluster, edit)

    def merge(cluster: int, into: int) -> Any:
        catalogue.edit(merging(cluster, into))
        world.merged.append((cluster, into))
        found = catalogue.read()
        report = SimpleNamespace(written=3, failed=0, mismatched=0)
        manifest = SimpleNamespace(run_id="20260302T030000-abc123")
        return SimpleNamespace(
            manifest=manifest, entry=found.get(into) if found else None, rows=3, report=report
        )

    editing = Editing(change, merge, lambda cluster: unmerge(catalogue, cluster))
    world.services = Services(browser, MapShelf(runs, "cluster_"), runs, editing)
    return world


def _rows() -> MemoryCollection:
    n = len(KEYS)
    vectors = np.zeros((n, DIM), np.float32)
    for row, cluster in enumerate(CLUSTERS):
        vectors[row] = {0: (1, 0, 0), 7: (0, 1, 0)}.get(cluster, (0, 0, 1))  # type: ignore[call-overload]
        vectors[row, 2] += 0.01 * (row + 1)
    texts = [f"text {key}" for key in KEYS[:-1]] + [ATTACK]
    years = [2000 + row for row in range(n)]
    columns = {"text": texts, "year": years, "odd": [float("nan")] * n}
    held = MemoryCollection(vectors, KEYS, columns=columns, name="news")
    labelled = [row for row, cluster in enumerate(CLUSTERS) if cluster is not None]
    ids = np.array([CLUSTERS[row] for row in labelled], np.int64)
    some = len(labelled)
    copies = np.full(some, "", object)
    copies[1:3] = "1"
    MemorySink(held).write(
        LabelBatch(
            keys=np.array([KEYS[row] for row in labelled], np.int64),
            cluster_id=ids,
            probability=np.full(some, 0.5, np.float32),
            outlier_score=np.full(some, 0.5, np.float32),
            run_ids=np.full(some, RUN, object),
            assignment=np.where(ids < 0, "noise", "core").astype(object),
            duplicate_of=copies,
        ),
        "_default",
    )
    return held


def _recorded(runs: MemoryRuns, held: MemoryCollection) -> None:
    """A run with a plan and a map, of which one row has no place."""
    runs.save(
        RunManifest(
            RUN,
            "written",
            "news",
            held.identity,
            {},
            {"write": {"label_prefix": "cluster_"}},
            {},
            started="2026-03-01T03:00:00.000000+00:00",
        )
    )
    labels = np.array([-1 if c is None else c for c in CLUSTERS], np.int64)
    runs.save_arrays(RUN, {"keys": held.keys, "cluster_id": labels})
    flat = np.arange(2 * len(KEYS), dtype=np.float32).reshape(-1, 2)
    flat[3] = np.nan
    keep_layout(runs, RUN, MapLayout(flat))


def _parse(text: str) -> Any:
    """``id < 5`` alone is understood."""
    name, _, number = text.partition("<")
    if name.strip() != "id" or not number.strip().isdigit():
        raise UsageError(f"the filter {text!r} is none that rows in memory understand")
    return lambda keys: keys < int(number)
