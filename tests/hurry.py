"""Waits of the Milvus client, cut short: it sleeps half a second before it looks at an index.

Half a second for each collection that a test makes, with an index that is there at once, is most of
what such a test takes. ``hurry()`` lets the client look again soon wherever it polls a server; what
it waits for, and when it gives up, stays as it is. For tests alone: nothing that measures imports
this.
"""

from __future__ import annotations

import time
from types import SimpleNamespace

from pymilvus.client import grpc_handler

LONGEST_POLL = 0.5
"""Seconds; what sleeps longer is no poll but a pause between attempts, and is left alone."""
SOON = 0.02


def hurry() -> None:
    """From now on clients in this process poll every ``SOON`` seconds."""
    grpc_handler.time = SimpleNamespace(time=time.time, sleep=_sleep)  # type: ignore[assignment]


def _sleep(seconds: float) -> None:
    time.sleep(seconds if seconds > LONGEST_POLL else min(seconds, SOON))
