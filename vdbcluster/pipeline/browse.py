"""What people do with a collection that has clusters: search it, browse it, look at one cluster.

In: a ``LiveCollection``, the catalogue, what turns texts into vectors. Out: rows, clusters, counts.
Promise: an answer is made of one reading of the catalogue (``Shelved``) and of rows as they are
now; while a run writes, rows may have labels that this catalogue does not tell of yet, and these
are shown with the number of their cluster. Nothing is written.

    browser.search("late parcels", Chosen(clusters=(7,)), limit=20)
    browser.rows_of(Chosen(clusters=(7,)), limit=50)
"""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from vdbcluster.errors import UsageError, VdbclusterError
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.catalogue import CatalogueEntry, RowKey
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.live import Chosen, LivePage, LiveRow
from vdbcluster.pipeline.browse_alike import Near, nearest
from vdbcluster.pipeline.browse_fields import ShownFields, shown_fields
from vdbcluster.pipeline.browse_shelf import Shelf, Shelved
from vdbcluster.pipeline.browse_text import TextSearch, TextState
from vdbcluster.ports.live import LiveCollection, NoRowError

FACET_ROWS = {"lite": 300}
USUAL_FACET_ROWS = 1_000
"""Nearest rows whose clusters are counted; Milvus Lite takes a third of a millisecond for each."""
FACETS_LIFE = 10.0
FACETS_KEPT = 64
FIELDS_LIFE = 60.0
SAMPLED = 20
KEPT_TOTAL = 5.0
INT64 = (-(2**63), 2**63 - 1)


class NoClusterError(VdbclusterError):
    """No cluster ever had this id."""


@dataclass(frozen=True, slots=True)
class Facet:
    """``count``: rows of this cluster among those looked at."""

    id: int
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """``facets``: clusters among the ``facet_rows`` nearest rows, the most frequent first."""

    shelved: Shelved
    rows: tuple[LiveRow, ...]
    facets: tuple[Facet, ...] = ()
    facet_rows: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class CopyGroup:
    """Rows marked as duplicates of one that is to be kept, which may be gone (None)."""

    kept: LiveRow | None
    copies: tuple[LiveRow, ...]


class Browser:
    """See the module; threads may share it."""

    def __init__(
        self,
        live: LiveCollection,
        shelf: Shelf,
        texts: TextSearch,
        *,
        ours: Collection[str] = (),
        text_field: str = "",
        image_field: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``ours``: names of fields that hold labels, which are not shown among the others."""
        self.live, self.shelf, self.texts = live, shelf, texts
        self._ours, self._named, self._image = frozenset(ours), text_field, image_field
        self._clock, self._lock = clock, threading.Lock()
        self._fields: tuple[float, ShownFields] | None = None
        self._noise: tuple[float, int] | None = None
        self._facets: OrderedDict[tuple[str, str], tuple[float, tuple[Facet, ...], int]]
        self._facets = OrderedDict()

    def profile(self) -> CollectionProfile:
        return self.live.profile()

    def search_state(self) -> TextState:
        return self.texts.state()

    def fields(self) -> ShownFields:
        """Which fields rows are shown by; the dynamic ones are told from a few rows."""
        with self._lock:
            held = self._fields
        if held is not None and self._clock() - held[0] < FIELDS_LIFE:
            return held[1]
        profile = self.live.profile()
        keys = [row.key for row in self.live.page(Chosen(), (), SAMPLED).rows[:: SAMPLED // 4]]
        samples = [row for row in map(self._still_there, keys) if row is not None]
        found = shown_fields(profile, samples, self._ours, text=self._named, image=self._image)
        if samples:
            with self._lock:
                self._fields = (self._clock(), found)
        return found

    def key(self, text: str) -> RowKey:
        """A key as it is written in an address. ``UsageError`` if no row can have it."""
        if self.live.profile().key.type != "INT64":
            return text
        try:
            found = int(text)
        except ValueError:
            found = INT64[1] + 1
        if not INT64[0] <= found <= INT64[1] or not text.lstrip("-").isascii():
            raise UsageError(f"{text[:40]!r} is no key of a row; keys are whole numbers")
        return found

    def search(
        self, text: str, chosen: Chosen, limit: int, offset: int = 0, *, facets: bool = True
    ) -> Found:
        """Rows by nearness to a text; by key where it is empty, and then without facets."""
        started, shelved = self._clock(), self.shelf.now()
        names = self.fields().names
        if not text.strip():
            page = self._skipped(chosen, names, limit, offset)
            return Found(shelved, page, seconds=self._clock() - started)
        vector = self.texts.vector(text)
        rows = self.live.search(vector, chosen, names, limit, offset)
        if not facets:
            return Found(shelved, rows, seconds=self._clock() - started)
        counted, looked_at = self._counted(text, vector, chosen.where)
        told = tuple(f for f in counted if not _is_hidden(shelved, f.id))
        return Found(shelved, rows, told, looked_at, self._clock() - started)

    def _counted(
        self, text: str, vector: Float32Array, where: str
    ) -> tuple[tuple[Facet, ...], int]:
        """Clusters of the nearest rows; kept for a moment, as people narrow one search and page."""
        with self._lock:
            held = self._facets.get((text, where))
        if held is not None and self._clock() - held[0] < FACETS_LIFE:
            return held[1], held[2]
        most = FACET_ROWS.get(self.live.profile().server.kind, USUAL_FACET_ROWS)
        started, labels = self._clock(), self.live.labels_near(vector, where, most)
        counts = Counter(label.cluster for label in labels if label is not None)
        order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        found = tuple(Facet(cluster, count) for cluster, count in order)
        with self._lock:
            self._facets[text, where] = (started, found, len(labels))
            while len(self._facets) > FACETS_KEPT:
                self._facets.popitem(last=False)
        return found, len(labels)

    def _skipped(
        self, chosen: Chosen, names: Sequence[str], limit: int, offset: int
    ) -> tuple[LiveRow, ...]:
        after: RowKey | None = None
        if offset:
            before = self.live.page(chosen, (), offset)
            if not before.more:
                return ()
            after = before.rows[-1].key
        return self.live.page(chosen, names, limit, after).rows

    def rows_of(self, chosen: Chosen, limit: int, after: str = "") -> tuple[Shelved, LivePage]:
        """By key, a page at a time."""
        behind = self.key(after) if after else None
        shelved = self.shelf.now()
        return shelved, self.live.page(chosen, self.fields().names, limit, behind)

    def row(self, text: str) -> tuple[Shelved, LiveRow]:
        """With all its fields."""
        return self.shelf.now(), self.live.whole(self.key(text))

    def similar_rows(self, text: str, chosen: Chosen, limit: int) -> Found:
        """Those nearest to a row, without itself."""
        started, key = self._clock(), self.key(text)
        shelved, vector = self.shelf.now(), self.live.vector(key)
        found = self.live.search(vector, chosen, self.fields().names, limit + 1)
        rows = tuple(row for row in found if row.key != key)[:limit]
        return Found(shelved, rows, seconds=self._clock() - started)

    def cluster(self, cluster: int) -> tuple[Shelved, CatalogueEntry]:
        """The entry of any state. ``NoClusterError`` if there never was one."""
        shelved = self.shelf.now()
        entry = shelved.get(cluster)
        if entry is None:
            raise NoClusterError(f"there is no cluster {cluster}; /api/clusters lists them")
        return shelved, entry

    def texts_of(self, keys: Sequence[RowKey]) -> dict[RowKey, LiveRow]:
        """Rows with their text alone, for medoids and exemplars."""
        text = self.fields().text
        return self.live.rows(keys, (text,) if text else ()) if keys else {}

    def similar_clusters(
        self, cluster: int, limit: int
    ) -> tuple[Shelved, CatalogueEntry, tuple[Near, ...]]:
        """By their centroids; see ``nearest``."""
        shelved, entry = self.cluster(cluster)
        return shelved, entry, nearest(entry, shelved.entries, limit)

    def noise_rows(self) -> int:
        """How many rows are noise; a few seconds old at most."""
        with self._lock:
            held = self._noise
        if held is not None and self._clock() - held[0] < KEPT_TOTAL:
            return held[1]
        counted = self.live.count(Chosen(clusters=(NOISE,)))
        with self._lock:
            self._noise = (self._clock(), counted)
        return counted

    def copies(
        self, limit: int, after: str = ""
    ) -> tuple[Shelved, bool, tuple[CopyGroup, ...], str]:
        """Groups of duplicates by key, whether any row is marked at all, and where to go on.

        A group appears where its first copy comes; ``limit`` counts copies.
        """
        behind, shelved = (self.key(after) if after else None), self.shelf.now()
        names = self.fields().names
        page = self.live.page(Chosen(copies=True), names, limit, behind)
        groups: dict[str, list[LiveRow]] = {}
        for row in page.rows:
            if row.label is not None:
                groups.setdefault(row.label.duplicate_of, []).append(row)
        keys = {text: self._key_or_none(text) for text in groups}
        kept = self.live.rows([key for key in keys.values() if key is not None], names)
        found = tuple(
            CopyGroup(None if (key := keys[text]) is None else kept.get(key), tuple(rows))
            for text, rows in groups.items()
        )
        marked = bool(page.rows) or self._any_copies()
        return shelved, marked, found, str(page.rows[-1].key) if page.more else ""

    def forget(self) -> None:
        """Somebody has edited here: what was remembered is old."""
        self.live.forget()
        self.shelf.forget()
        with self._lock:
            self._noise = None
            self._facets.clear()

    def _still_there(self, key: RowKey) -> LiveRow | None:
        try:
            return self.live.whole(key)
        except NoRowError:  # deleted since its key was read
            return None

    def _any_copies(self) -> bool:
        return bool(self.live.page(Chosen(copies=True), (), 1).rows)

    def _key_or_none(self, text: str) -> RowKey | None:
        try:
            return self.key(text)
        except UsageError:
            return None


def _is_hidden(shelved: Shelved, cluster: int) -> bool:
    entry = shelved.get(cluster)
    return cluster == NOISE or (entry is not None and entry.hidden)
