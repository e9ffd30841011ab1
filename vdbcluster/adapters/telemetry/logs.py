"""Structured log: one JSON object a line, or one readable line, on standard error.

    log = open_log("json", job="news")
    log.info("finished", outcome="done", seconds=3.2)
    # {"time": "2025-06-01T03:00:07.123456+00:00", "level": "info", "job": "news", "event": ...}

In: an event and fields. Out: a line. Promise: a line is written whole, in whatever thread; nothing
in it can steer a terminal: JSON escapes all but ASCII, text shows what cannot be printed escaped.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import structlog

Fields = MutableMapping[str, Any]
FIRST = ("time", "level", "job", "command", "run_id", "event", "message")
"""Fields that come first, where they are there."""


Log = structlog.typing.FilteringBoundLogger
"""What ``open_log`` gives; ``bind`` gives one with more fields."""


def open_log(form: Literal["text", "json"], stream: TextIO | None = None, **fields: Any) -> Log:
    """A log to ``stream`` (standard error), with these fields on each line."""
    log: Log = structlog.wrap_logger(
        structlog.WriteLogger(stream or sys.stderr),
        processors=[_complete, _json if form == "json" else _text],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        cache_logger_on_first_use=True,
        **fields,
    )
    return log


def say_again(log: Log, said: Mapping[str, Any]) -> None:
    """Write a line that another process wrote; its time stays."""
    level = said.get("level")
    rest = {name: value for name, value in said.items() if name not in ("level", "event")}
    told = getattr(log, level if level in ("info", "warning", "error") else "info")
    told(str(said.get("event", "output")), **rest)


def _complete(_: object, level: str, fields: Fields) -> Fields:
    """With time and level, and in order."""
    known = {"time": datetime.now(UTC).isoformat(), **fields, "level": level}
    first = {name: known[name] for name in FIRST if name in known}
    return first | known


_json = structlog.processors.JSONRenderer(default=str)


def _text(_: object, __: str, fields: Fields) -> str:
    """``2025-06-01T03:00:07+00:00 info    news run finished  outcome=done``."""
    time, level = str(fields.pop("time"))[:19], fields.pop("level")
    names = (fields.pop(name, "") for name in ("job", "command", "event", "message"))
    fields.pop("run_id", None)
    words = [time, f"{level:<8}", *map(str, filter(None, names))]
    words += [f"{name}={value}" for name, value in fields.items()]
    return " ".join(word if word.isprintable() else ascii(word)[1:-1] for word in words)
