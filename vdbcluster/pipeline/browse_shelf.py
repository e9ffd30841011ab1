"""The catalogue and the cards, as they were a moment ago.

In: how to open the catalogue, the records of runs. Out: ``Shelved``, one generation as a whole.
Promise: everything in one ``Shelved`` is of one reading. One that is older than ``life`` seconds is
handed out once more while it is read anew beside that, so that who clicks does not wait; one older
than ``STALE`` is handed out to nobody. What was edited here is read again by the next who asks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from vdbcluster.errors import BackendUnavailableError, VdbclusterError
from vdbcluster.model.cards import Explanation
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry, ClusterState
from vdbcluster.pipeline.cards import newest_explanation
from vdbcluster.pipeline.part import WHOLE, Part
from vdbcluster.ports import RunStore
from vdbcluster.ports.catalogue import ClusterCatalogue

LIFE = 2.0
CARDS_LIFE = 15.0
"""Seconds for which cards, which only ``vdbcluster explain`` changes, are not read again."""
STALE = 10.0
"""Seconds after which a catalogue is too old to be shown, though somebody has to wait."""


@dataclass(frozen=True, slots=True, eq=False)
class Shelved:
    """``catalogue``: None where no run has kept one."""

    catalogue: Catalogue | None = None
    explanation: Explanation = field(default_factory=Explanation)

    @property
    def run_id(self) -> str | None:
        return self.catalogue.run_id if self.catalogue else None

    @property
    def entries(self) -> tuple[CatalogueEntry, ...]:
        return self.catalogue.live if self.catalogue else ()

    @property
    def listed(self) -> tuple[CatalogueEntry, ...]:
        """The live ones, and those that people merged into others."""
        every = self.catalogue.entries if self.catalogue else ()
        return tuple(entry for entry in every if entry.state != ClusterState.RETIRED)

    def get(self, cluster: int) -> CatalogueEntry | None:
        """Of any state."""
        return self.catalogue.get(cluster) if self.catalogue else None

    def title(self, cluster: int) -> str:
        """What it is called; rows may have a label that this catalogue does not tell of."""
        entry = self.get(cluster)
        if cluster < 0:
            return "noise"
        return titled(entry) if entry is not None else f"cluster {cluster}"


def titled(entry: CatalogueEntry) -> str:
    """Its name, else three words, else its number."""
    return entry.name or ", ".join(entry.keywords[:3]) or f"cluster {entry.id}"


class Shelf:
    """See the module; threads may share it."""

    def __init__(
        self,
        catalogue: Callable[[], ClusterCatalogue | None],
        runs: RunStore,
        prefix: str,
        *,
        life: float = LIFE,
        clock: Callable[[], float] = time.monotonic,
        rows: Part = WHOLE,
    ) -> None:
        """``prefix``: of the fields that hold labels; ``rows``: those that are served."""
        self._catalogue, self._runs, self._prefix = catalogue, runs, prefix
        self._life, self._clock, self._rows = life, clock, rows
        self._reading, self._storing = threading.Lock(), threading.Lock()
        self._held: tuple[float, Shelved] | None = None
        self._cards: tuple[float, str, Explanation] | None = None
        self._edits = 0

    def now(self) -> Shelved:
        """See the module. Raises what reading does, where there is none that may be shown."""
        held = self._held
        age = self._clock() - held[0] if held is not None else STALE
        if held is None or age >= STALE:
            with self._reading:
                return self._read(held)
        if age >= self._life and self._reading.acquire(blocking=False):
            threading.Thread(target=self._beside, args=(held,), daemon=True).start()
        return held[1]

    def _beside(self, before: tuple[float, Shelved]) -> None:
        """The lock is ours. That the server is away is told to who asks once this is stale."""
        try:
            with suppress(VdbclusterError):
                self._read(before)
        finally:
            self._reading.release()

    def _read(self, before: tuple[float, Shelved] | None) -> Shelved:
        """The lock is held; somebody may have read while it was waited for."""
        held = self._held
        if held is not None and held is not before:
            return held[1]
        started, edits = self._clock(), self._edits
        opened = self._catalogue()
        catalogue = opened.read() if opened is not None else None
        found = Shelved(catalogue, self._explanation(catalogue))
        with self._storing:
            if edits == self._edits:
                self._held = (started, found)
        return found

    def _explanation(self, catalogue: Catalogue | None) -> Explanation:
        """Cards that cannot be read are none: the clusters are there without them."""
        if catalogue is None:
            return Explanation()
        known, now = self._cards, self._clock()
        if known and known[1] == catalogue.identity and now - known[0] < CARDS_LIFE:
            return known[2]
        try:
            found = newest_explanation(
                self._runs, catalogue.identity, self._prefix, rows=self._rows
            )
        except BackendUnavailableError:
            raise
        except VdbclusterError:
            found = Explanation()
        self._cards = (now, catalogue.identity, found)
        return found

    def close(self) -> None:
        """No thread of ours outlives this; the lock is never given back."""
        self._reading.acquire(timeout=STALE)

    def forget(self) -> None:
        """Somebody has edited: the next who asks reads anew."""
        with self._storing:
            self._edits += 1
            self._held = None
