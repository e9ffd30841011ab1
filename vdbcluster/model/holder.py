"""Who holds a lock.

In: what a process knows of itself. Out: ``Holder``, as JSON and back, and in words for a user.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Holder:
    """``since``: UTC, such as ``2026-03-01T03:00:00Z``; ``lease``: seconds, 0 on a disk.

    ``machine`` and ``started`` tell, where they are known, one process from all others that ever
    had its ``pid``: what the kernel calls this boot and its space of process ids, and clock ticks
    from boot to start.
    """

    run_id: str
    host: str
    pid: int
    since: str
    lease: float = 0.0
    machine: str = ""
    started: int = 0

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Holder | None:
        """None if this is no holder."""
        try:
            found = cls(**json.loads(text))
        except (ValueError, TypeError):
            return None
        return found if isinstance(found.pid, int) else None

    def __str__(self) -> str:
        return f"run {self.run_id} on host {self.host} (pid {self.pid}) since {self.since}"


def locked_line(what: str, holder: Holder | None, until: str) -> str:
    """The message of a ``LockedError``; ``until``: when it ends if that run has died."""
    who = str(holder) if holder else "another run"
    return (
        f"{what} are being written by {who}; {until}. Nothing was written; run again later, or "
        "wait for it with --lock-wait SECONDS"
    )
