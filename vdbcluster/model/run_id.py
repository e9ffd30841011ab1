"""Names of runs: made anew, without anything else being loaded."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime


def new_run_id() -> str:
    """Time in UTC, then six random hexadecimal digits: sorts by time, never meets another."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
