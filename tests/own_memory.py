"""What a process takes of its own, for children of the tests that measure themselves.

In: work. Out: KiB that are there now, MiB that were added at the peak. Linux alone (``RssAnon``).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

LOOKS = 0.002
"""Seconds between two looks."""


def own_kib() -> int:
    """Resident memory that no file holds."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"RssAnon:\s+(\d+)", status)
    assert found, status
    return int(found[1])


def growth(work: Callable[[], object]) -> int:
    """MiB that the process takes at most while it works, beside what it had."""
    before, peak, ended = own_kib(), [0], threading.Event()

    def watch() -> None:
        while not ended.wait(LOOKS):
            peak[0] = max(peak[0], own_kib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    ended.set()
    watcher.join()
    return (peak[0] >> 10) - (before >> 10)
