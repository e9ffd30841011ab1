"""Files that a command is asked for by ``--output``.

In: a place, bytes. Out: the file. Promise: what is wrong with the place is told before any work;
the file is there as a whole or not at all.

    check_output(place)
    write_output(place, body)
"""

from __future__ import annotations

import os
from pathlib import Path

from vdbcluster.adapters.replacing import replacing
from vdbcluster.errors import UsageError, VdbclusterError


def check_output(place: Path) -> None:
    """``UsageError`` if no file can be written there."""
    home = place.parent
    if place.is_dir():
        raise UsageError(f"{place} is a directory; name a file in it (--output)")
    if not home.is_dir():
        raise UsageError(f"the directory {home} does not exist; make it first (--output)")
    if not os.access(home, os.W_OK):
        raise UsageError(f"the directory {home} cannot be written to; name another (--output)")


def write_output(place: Path, body: bytes) -> None:
    """``VdbclusterError`` where that cannot be done, as on a full disk; the old file stays."""
    try:
        with replacing(place) as file:
            file.write(body)
    except OSError as error:
        raise VdbclusterError(
            f"{place} cannot be written: {error.strerror or error}; free some space or name "
            "another place (--output)"
        ) from error
