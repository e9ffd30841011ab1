"""Settings of the worker: its clock, its patience, where it answers.

In: values of the ``worker`` section. Out: a frozen ``WorkerSettings``.
"""

from __future__ import annotations

from vdbcluster.config.base import Section, setting


class WorkerSettings(Section):
    """Worker: when jobs run, where it answers, how it stops."""

    timezone: str = setting("UTC", "Time zone of cron lines, such as Europe/Berlin.")
    misfire_grace: float = setting(
        3600.0,
        "A run that could not start in time is started late, once, within these seconds; after "
        "them it is skipped and counted.",
        gt=0,
    )
    at_once: int = setting(1, "Jobs under way at once.", "--jobs-at-once", ge=1, le=64)
    grace: float = setting(
        20.0, "Seconds that a run may go on after SIGTERM before it is interrupted.", ge=0
    )
    kill_after: float = setting(
        8.0, "Seconds that an interrupted run may take to end before it is killed.", gt=0
    )
    host: str = setting("127.0.0.1", "Address for /healthz, /readyz and /metrics.")
    port: int = setting(9464, "Port for them; 0 takes a free one.", ge=0, le=65535)
