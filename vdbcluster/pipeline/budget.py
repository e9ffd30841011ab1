"""Too little memory or disk is said before the work starts.

In: ``Job``, settings, the machine. Out: nothing, or one line why not.
Promise: nothing is read or written; where nothing can be told of the machine nothing is refused.

    check_budget(job, settings, machine, observer)
"""

from __future__ import annotations

from pathlib import Path

from vdbcluster.config.settings import Settings
from vdbcluster.errors import RefusedError
from vdbcluster.pipeline.needs import MIB, Job, disk_bytes, memory_bytes, peak_bytes, worker_bytes
from vdbcluster.pipeline.room import room_of
from vdbcluster.ports import Observer
from vdbcluster.ports.machine import Machine


def check_budget(job: Job, settings: Settings, machine: Machine, observer: Observer) -> None:
    """Raises ``RefusedError`` if the run would pass its limit of memory, or fill the disk.

    Without a limit of memory, more than the machine has free is a warning: pages of other programs
    may make room.
    """
    refuse(shortage(job, settings, machine))
    if settings.scale.memory_limit == "auto" and (told := scarce(job, settings, machine)):
        observer.warn(told)


def refuse(why: str) -> None:
    """``RefusedError`` with this line, unless it is empty."""
    if why:
        raise RefusedError(why)


def shortage(job: Job, settings: Settings, machine: Machine) -> str:
    """Why there is too little memory or disk for the run; empty if there is enough."""
    return _too_little_memory(job, settings, machine) or _too_little_disk(job, settings, machine)


def _too_little_memory(job: Job, settings: Settings, machine: Machine) -> str:
    """Why the limit of memory will not do; empty if it does, or there is none."""
    limit = settings.scale.memory_limit
    if limit == "auto":
        return ""
    files, stages = _files_in_memory(job, settings, machine), memory_bytes(job, room_of(settings))
    most = max(stages, key=lambda stage: stages[stage])
    need = stages[most] + files
    if need <= limit:
        return ""
    where = "an embedded Milvus Lite file" if job.embedded else f"{job.n_rows:,} rows"
    return (
        f"the run needs about {need // MIB:,} MiB for {where} (stage {most}), and "
        f"--memory-limit allows {limit // MIB:,} MiB; "
        f"{_of_files(files, settings) if files else _advice(job)}"
    )


def _files_in_memory(job: Job, settings: Settings, machine: Machine) -> int:
    """Bytes of large arrays that were to lie on a disk, and lie in memory all the same."""
    if not machine.in_memory(settings.run.runs_dir):
        return 0
    return disk_bytes(job, room_of(settings))["meanwhile"]


def _of_files(files: int, settings: Settings) -> str:
    return (
        f"{files // MIB:,} MiB of it are files in {settings.run.runs_dir}, which lie in memory (a "
        "tmpfs): name a directory of a disk with --runs-dir"
    )


def _too_little_disk(job: Job, settings: Settings, machine: Machine) -> str:
    """Why a disk will not do; empty if all do, or nothing can be told of them."""
    need = disk_bytes(job, room_of(settings))
    runs, work = settings.run.runs_dir, _work_folder(settings)
    own, pieces = need["meanwhile"] + need["record"], need["pieces"]
    if work is None:
        return _full(runs, own, "--runs-dir", machine)
    if machine.same_disk(runs, work):
        return _full(runs, own + pieces, "--runs-dir", machine)
    return _full(runs, own, "--runs-dir", machine) or _full(work, pieces, "--work-dir", machine)


def _work_folder(settings: Settings) -> Path | None:
    """Where pieces of unfinished work lie; None for an object store."""
    named = settings.scale.work_dir
    if not named:
        return settings.run.runs_dir
    return None if "://" in named else Path(named).expanduser()


def _full(folder: Path, need: int, option: str, machine: Machine) -> str:
    free = machine.free_disk(folder)
    if free is None or need <= free:
        return ""
    return (
        f"the run needs about {need // MIB:,} MiB of disk in {folder}, and {free // MIB:,} MiB are "
        f"free; free some, or name another directory with {option}"
    )


def scarce(job: Job, settings: Settings, machine: Machine) -> str:
    """A line if the run needs more memory than the machine has free; empty if it does not."""
    free, room = machine.free_memory(), room_of(settings)
    workers, files = settings.scale.workers, _files_in_memory(job, settings, machine)
    theirs = workers * worker_bytes(job, room)
    need = peak_bytes(job, room) - (machine.own_memory() or 0) + theirs + files
    if free is None or need <= free:
        return ""
    shared = f" ({theirs // MIB:,} MiB of it for {workers} workers)" if workers else ""
    advice = "--memory-limit puts large arrays on disk"
    return (
        f"the run needs about {need // MIB:,} MiB more of memory{shared}, and the machine has "
        f"{free // MIB:,} MiB free; {_of_files(files, settings) if files else advice}"
    )


def _advice(job: Job) -> str:
    if job.embedded:
        return "allow more, or serve the data by a process of its own (milvus-lite server)"
    fewer = ", --method hdbscan" if job.walks else ""
    return f"allow more, or take less: fewer --n-neighbors{fewer}, --resamples 0"
