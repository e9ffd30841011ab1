"""What embedding has taken: the counts of an embedder, beside those of its endpoint.

In: what was done, and a ``Ledger`` of tokens. Out: ``EmbedUsage``. Promise: threads may share it.
"""

from __future__ import annotations

import threading
from dataclasses import replace

from vdbcluster.adapters.endpoint.ledger import Ledger
from vdbcluster.model.records import EmbedUsage


class Counts:
    """See the module."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._counted = EmbedUsage()

    @property
    def usage(self) -> EmbedUsage:
        requests, tokens, cost = self._ledger.taken
        with self._lock:
            return replace(self._counted, requests=requests, tokens=tokens.total, cost=cost)

    def add(self, *, texts: int = 0, retries: int = 0, shortened: int = 0) -> None:
        """Add to the counts that cost nothing."""
        with self._lock:
            self._counted = replace(
                self._counted,
                texts=self._counted.texts + texts,
                retries=self._counted.retries + retries,
                shortened=self._counted.shortened + shortened,
            )
