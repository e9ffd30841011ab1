"""Answers that were paid for once are kept: blobs by key in a SQLite file.

    store = Store(folder, EMBEDDINGS)
    store.put({key: blob}); store.get([key])

In: a folder and what kind of store it is. Out: blobs by key. Promise: what ``put`` was given is on
disk when it returns, all or none, so that a process that is killed at any moment loses nothing
that was put; processes and threads may share the folder. A folder that cannot be used, or a file
that is somebody else's, is a ``UsageError``; what fails later is a ``sqlite3.Error``.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from vdbcluster.errors import UsageError

KEY_BYTES = 20
BUSY = 30.0
"""Seconds to wait for another process that writes."""
ASKED = 500
"""Keys per query; SQLite may be built for 999 only."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is kept: ``what`` in words, its file and table, the marks of the file, the flag."""

    what: str
    file: str
    table: str
    column: str
    application: int
    version: int
    flag: str


def key_of(content: str) -> bytes:
    """The BLAKE2 hash of all that an answer depends on."""
    return blake2b(content.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


class Store:
    """See the module."""

    def __init__(self, folder: Path, kind: Kind) -> None:
        """Open or make the file; ``UsageError`` if it cannot be used or is somebody else's."""
        self.path = folder / kind.file
        self.what = kind.what
        self._kind = kind
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self.path, timeout=BUSY, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(str(error)) from error
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._connection.close()
            raise self._unusable(str(error)) from error
        except UsageError:
            self._connection.close()
            raise

    def get(self, keys: Sequence[bytes]) -> dict[bytes, object]:
        """What is there; a file that was tampered with may hold anything."""
        found: dict[bytes, object] = {}
        for at in range(0, len(keys), ASKED):
            part = keys[at : at + ASKED]
            marks = ",".join("?" * len(part))
            query = (
                f"SELECT key, {self._kind.column} FROM {self._kind.table} WHERE key IN ({marks})"
            )
            with self._lock:
                found |= self._connection.execute(query, part).fetchall()
        return found

    def put(self, blobs: Mapping[bytes, bytes]) -> None:
        """Keep blobs; on disk when it returns, all or none."""
        with self._lock, _transaction(self._connection) as connection:
            connection.executemany(
                f"INSERT OR REPLACE INTO {self._kind.table} VALUES (?, ?)", blobs.items()
            )

    def drop(self, key: bytes) -> None:
        """Forget what is kept under ``key``, if anything is."""
        with self._lock, _transaction(self._connection) as connection:
            connection.execute(f"DELETE FROM {self._kind.table} WHERE key = ?", (key,))

    def close(self) -> None:
        """Nobody may use the store any more."""
        with self._lock:
            self._connection.close()

    def _prepare(self) -> None:
        connection, kind = self._connection, self._kind
        connection.execute("PRAGMA synchronous=NORMAL")
        with _transaction(connection):
            found = [
                connection.execute(question).fetchone()[0]
                for question in (
                    "SELECT count(*) FROM sqlite_master",
                    "PRAGMA application_id",
                    "PRAGMA user_version",
                )
            ]
            if found[0] and found[1:] != [kind.application, kind.version]:
                raise self._unusable("it is no cache of this version of vdbcluster")
            if not found[0]:
                connection.execute(
                    f"CREATE TABLE {kind.table} (key BLOB PRIMARY KEY, {kind.column} BLOB)"
                )
                connection.execute(f"PRAGMA application_id={kind.application}")
                connection.execute(f"PRAGMA user_version={kind.version}")
        # Another process may be at work in the file; it has asked for the same then.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode=WAL")

    def _unusable(self, why: str) -> UsageError:
        return UsageError(
            f"the cache of {self._kind.what} {self.path} cannot be used ({why}); move it away or "
            f"name another folder with {self._kind.flag}"
        )


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
