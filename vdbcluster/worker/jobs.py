"""The jobs of a worker, from one TOML file or from one command line.

    [worker]
    timezone = "Europe/Berlin"

    [defaults.milvus]
    uri = "http://milvus:19530"
    token = "${MILVUS_TOKEN}"

    [[job]]
    name = "news"
    cron = "0 3 * * *"
    assign_every = "10m"
    [job.milvus]
    collection = "news"

In: such a file, the settings of the command. Out: ``Plan``, all of it validated.
Promise: a job has the settings of the command (options, environment, vdbcluster.toml), those of
``[defaults.*]`` over them, its own sections over these. ``${NAME}`` is a variable of the
environment. What is wrong is one line that names the job, and holds no secret.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from vdbcluster.config.base import Section
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.config.worker import WorkerSettings
from vdbcluster.errors import UsageError
from vdbcluster.worker.timetable import Timetable, cron, every, time_zone

RUN, ASSIGN = "run", "assign"
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"
TOP = ("worker", "defaults", "job")
SECTIONS = tuple(name for name in Settings.model_fields if name not in ("worker", "ingest"))
"""Sections that a job may have."""
Raw = Mapping[str, Any]


class Schedule(Section):
    """When a job runs; ``cron`` or ``every`` for a full run, the others for new rows alone."""

    name: str = Field(pattern=NAME)
    cron: str = ""
    every: str = ""
    assign_cron: str = ""
    assign_every: str = ""
    timezone: str = ""

    def tables(self, zone: str) -> dict[str, Timetable]:
        """The timetable of each command; ``UsageError`` if there is none, or two for one."""
        zone = self.timezone or zone
        time_zone(zone)
        found = {
            RUN: _table(self.cron, self.every, zone, "cron", "every"),
            ASSIGN: _table(
                self.assign_cron, self.assign_every, zone, "assign_cron", "assign_every"
            ),
        }
        tables = {command: table for command, table in found.items() if table is not None}
        if not tables:
            raise UsageError("it has no schedule: give it cron, every, assign_cron or assign_every")
        return tables


def _table(line: str, interval: str, zone: str, *names: str) -> Timetable | None:
    if line and interval:
        raise UsageError(f"it has both {names[0]} and {names[1]}; leave one out")
    if line:
        return cron(line, zone)
    return every(interval) if interval else None


@dataclass(frozen=True, slots=True)
class Job:
    """A name, a timetable for each command, and all settings that its commands run under."""

    name: str
    tables: Mapping[str, Timetable]
    settings: Settings


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a worker does."""

    worker: WorkerSettings
    jobs: tuple[Job, ...]


def read_jobs(path: Path, base: Settings) -> Plan:
    """The jobs of a file; ``UsageError`` in one line, see the module."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"the jobs file {path} does not exist; check --jobs") from error
    except OSError as error:
        raise UsageError(f"the jobs file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the jobs file {path} is no valid TOML: {error}") from error
    try:
        return plan_of(raw, base)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def plan_of(raw: Raw, base: Settings) -> Plan:
    """The same from a parsed file."""
    if unknown := next((name for name in raw if name not in TOP), None):
        raise UsageError(f"there is no {unknown!r} in a jobs file; it has {', '.join(TOP)}")
    raw = _expanded(raw)
    worker = _with_sections(base, {"worker": raw.get("worker", {})}).worker
    defaults = _sections(raw.get("defaults", {}), "defaults")
    entries = raw.get("job", [])
    if not isinstance(entries, list) or not entries:
        raise UsageError("it has no jobs; write each as [[job]] with a name and a cron line")
    jobs = tuple(
        _named(entry, i + 1, base, defaults, worker.timezone) for i, entry in enumerate(entries)
    )
    for job in jobs:
        if sum(other.name == job.name for other in jobs) > 1:
            raise UsageError(f"two jobs are called {job.name!r}")
    return Plan(worker, jobs)


def one_job(schedule: Mapping[str, str], base: Settings) -> Plan:
    """A single job under the settings of the command; it is called as its collection."""
    if not base.milvus.collection:
        raise UsageError("no collection was named; pass --collection NAME, or --jobs FILE")
    name = base.telemetry.job or re.sub(r"[^A-Za-z0-9_.-]", "-", base.milvus.collection).strip("-_")
    given = {key: value for key, value in schedule.items() if value}
    return Plan(base.worker, (_job({"name": name, **given}, base, {}, base.worker.timezone),))


def _named(entry: Any, number: int, base: Settings, defaults: Raw, zone: str) -> Job:
    name = entry.get("name", f"number {number}") if isinstance(entry, Mapping) else number
    try:
        return _job(entry, base, defaults, zone)
    except UsageError as error:
        raise UsageError(f"job {name}: {error}") from error


def _job(entry: Raw, base: Settings, defaults: Raw, zone: str) -> Job:
    own = {name: value for name, value in entry.items() if name in SECTIONS}
    try:
        schedule = Schedule(**{n: v for n, v in entry.items() if n not in own})
    except ValidationError as error:
        raise UsageError(_one_line(error)) from error
    tables = schedule.tables(zone)
    settings = _with_sections(base, _over(defaults, _sections(own, "job")))
    named = settings.telemetry.model_copy(update={"job": schedule.name})
    settings = settings.model_copy(update={"telemetry": named})
    if not settings.milvus.collection:
        raise UsageError("it names no collection; write collection in [job.milvus]")
    return Job(schedule.name, tables, settings)


def _one_line(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"there is no {where!r} in a job"
    if where == "name":
        return "its name must be letters, digits, '_', '-' or '.', at most 63"
    return f"{where} is wrong: {first['msg']}"


def _sections(raw: Any, where: str) -> dict[str, Raw]:
    """Each a table of a section that a job may have."""
    if not isinstance(raw, Mapping):
        raise UsageError(f"[{where}] must be a table")
    for name, values in raw.items():
        if name not in SECTIONS:
            raise UsageError(f"[{where}.{name}] is no section of the settings")
        if not isinstance(values, Mapping):
            raise UsageError(f"{name} in {where} must be a table, [{where}.{name}]")
    return dict(raw)


def _over(lower: Mapping[str, Raw], upper: Mapping[str, Raw]) -> dict[str, Raw]:
    return {name: {**lower.get(name, {}), **upper.get(name, {})} for name in (*lower, *upper)}


def _with_sections(base: Settings, sections: Mapping[str, Raw]) -> Settings:
    """``base`` with other values, validated as a whole."""
    known = {name: dict(getattr(base, name)) for name in Settings.model_fields}
    if not all(isinstance(values, Mapping) for values in sections.values()):
        raise UsageError("[worker] must be a table")
    return load_settings(_over(known, sections))


def _expanded(value: Any) -> Any:
    """With variables of the environment put in, at any depth."""
    if isinstance(value, Mapping):
        return {name: _expanded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_expanded(item) for item in value]
    return re.sub(r"\$\{(\w+)\}", _variable, value) if isinstance(value, str) else value


def _variable(found: re.Match[str]) -> str:
    if (value := os.environ.get(found[1])) is None:
        raise UsageError(f"the environment has no variable {found[1]}, which the jobs file uses")
    return value
