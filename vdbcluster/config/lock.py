"""Settings of the lock that keeps two runs from writing the same labels at once."""

from __future__ import annotations

from vdbcluster.config.base import Section, setting


class LockSettings(Section):
    """Lock: one run at a time writes labels of one collection under one prefix."""

    wait: float = setting(
        0.0, "Seconds to wait while another run writes the same labels.", "--lock-wait", ge=0
    )
    lease: float = setting(
        60.0,
        "Seconds without a sign of life after which another run's lock on the server may be taken.",
        "--lock-lease",
        ge=1,
        le=3600,
    )
