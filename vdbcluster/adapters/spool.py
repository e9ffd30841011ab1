"""Pages that wait on the disk until all have come.

In: pages. Out: the same, as often as is asked. Promise: memory of a page; the file has no name
where the system allows that, so that even a killed process leaves nothing, and nobody else reads or
writes it.

    with Spool(folder) as spool:
        spool.put(page)
        for page in spool: ...
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vdbcluster.errors import VdbclusterError
from vdbcluster.model.tables import RowPage


class Spool:
    """See the module and ``ports.tables.PageStore``; ``folder``: the disk that has the room."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pages = 0
        with _told(folder):
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # what did not fit has been told, and is not wanted any more
            self._file.close()

    def put(self, page: RowPage) -> None:
        """Behind those that are there."""
        with _told(self._folder):
            pickle.dump(page, self._file, pickle.HIGHEST_PROTOCOL)
        self._pages += 1

    def __iter__(self) -> Iterator[RowPage]:
        """From the first; to be read to the end before another reader begins."""
        with _told(self._folder):
            self._file.seek(0)
        for _ in range(self._pages):
            page: RowPage = pickle.load(self._file)
            yield page


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise VdbclusterError(
            f"rows cannot be kept in {folder} meanwhile: {error.strerror}"
        ) from error
