"""Files that are replaced as a whole or not at all.

In: a place. Out: an open file beside it. Promise: it is on the disk before it takes the place, and
is gone if anything fails, so that a killed process leaves the old file or the new one, never half.

    with replacing(path) as file:
        file.write(b"...")
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def replacing(place: Path, who: str = "") -> Iterator[IO[bytes]]:
    """Write ``place`` anew; ``OSError`` where that cannot be done.

    ``who``: tells those apart who may write it at the same time; the number of this process, if
    they are all on this machine.
    """
    beside = place.with_name(f".{place.name}.{who or os.getpid()}")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(place)
    finally:
        beside.unlink(missing_ok=True)
