"""Too little memory or disk is said before the work starts.

In: ``Job``, settings, the machine. Out: nothing, or one line why not.
Promise: nothing is read or written; where nothing can be told of the machine nothing is refused.

    check_budget(job, settings, machine, observer)
"""

from __future__ import annotations

from vdbcluster.config.settings import Settings
from vdbcluster.errors import RefusedError
from vdbcluster.pipeline.needs import MIB, Job, disk_bytes, memory_bytes
from vdbcluster.pipeline.room import room_of
from vdbcluster.ports import Observer
from vdbcluster.ports.machine import Machine


def check_budget(job: Job, settings: Settings, machine: Machine, observer: Observer) -> None:
    """Raises ``RefusedError`` if the run would pass its limit of memory, or fill the disk.

    Without a limit of memory, more than the machine has free is a warning: pages of other programs
    may make room.
    """
    refuse(too_little_memory(job, settings) or too_little_disk(job, settings, machine))
    if settings.scale.memory_limit == "auto" and (told := scarce(job, settings, machine)):
        observer.warn(told)


def refuse(why: str) -> None:
    """``RefusedError`` with this line, unless it is empty."""
    if why:
        raise RefusedError(why)


def too_little_memory(job: Job, settings: Settings) -> str:
    """Why the limit of memory will not do; empty if it does, or there is none."""
    limit = settings.scale.memory_limit
    stages = memory_bytes(job, room_of(settings))
    most = max(stages, key=lambda stage: stages[stage])
    if limit == "auto" or stages[most] <= limit:
        return ""
    where = "an embedded Milvus Lite file" if job.embedded else f"{job.n_rows:,} rows"
    return (
        f"the run needs about {stages[most] // MIB:,} MiB for {where} (stage {most}), and "
        f"--memory-limit allows {limit // MIB:,} MiB; {_advice(job)}"
    )


def too_little_disk(job: Job, settings: Settings, machine: Machine) -> str:
    """Why the disk will not do; empty if it does, or nothing can be told of it."""
    folder = settings.run.runs_dir
    free, need = machine.free_disk(folder), sum(disk_bytes(job, room_of(settings)).values())
    if free is None or need <= free:
        return ""
    return (
        f"the run needs about {need // MIB:,} MiB of disk in {folder}, and {free // MIB:,} MiB are "
        "free; free some, or name another directory with --runs-dir"
    )


def scarce(job: Job, settings: Settings, machine: Machine) -> str:
    """A line if the run needs more memory than the machine has free; empty if it does not."""
    free = machine.free_memory()
    need = max(memory_bytes(job, room_of(settings)).values()) - (machine.own_memory() or 0)
    if free is None or need <= free:
        return ""
    return (
        f"the run needs about {need // MIB:,} MiB more of memory, and the machine has "
        f"{free // MIB:,} MiB free; --memory-limit puts large arrays on disk"
    )


def _advice(job: Job) -> str:
    if job.embedded:
        return "allow more, or serve the data by a process of its own (milvus-lite server)"
    fewer = ", --method hdbscan" if job.walks else ""
    return f"allow more, or take less: fewer --n-neighbors{fewer}, --resamples 0"
