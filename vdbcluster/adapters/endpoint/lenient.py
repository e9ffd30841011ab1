"""A store that is done without once it fails.

In: a ``Store``, who is warned. Out: blobs by key while it works, nothing afterwards.
Promise: the first failure closes it, with one warning; no caller sees an error of the file.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from vdbcluster.adapters.endpoint.store import Store

T = TypeVar("T")


class LenientStore:
    """``Store`` that never raises; threads may share it. ``store`` None: there is none."""

    def __init__(self, store: Store | None, warn: Callable[[str], None]) -> None:
        self._store = store
        self._warn = warn
        self._lock = threading.Lock()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, object]:
        """What is there; a file that was tampered with may hold anything."""
        return self._try(lambda store: store.get(keys)) or {}

    def put(self, blobs: Mapping[bytes, bytes]) -> None:
        """Keep blobs; on disk when it returns, all or none."""
        self._try(lambda store: store.put(blobs))

    def drop(self, key: bytes) -> None:
        """Forget what is kept under ``key``, if anything is."""
        self._try(lambda store: store.drop(key))

    def close(self) -> None:
        """Nothing is kept any more."""
        if (store := self._taken()) is not None:
            store.close()

    def _try(self, work: Callable[[Store], T]) -> T | None:
        store = self._store
        if store is None:
            return None
        try:
            return work(store)
        except sqlite3.Error as error:
            if (mine := self._taken()) is not None:  # the first who finds out, and it is not closed
                mine.close()
                what = f"the cache of {mine.what} {mine.path}"
                self._warn(f"{what} fails ({error}); going on without")
            return None

    def _taken(self) -> Store | None:
        with self._lock:
            store, self._store = self._store, None
        return store
