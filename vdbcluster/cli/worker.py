"""``vdbcluster worker``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from vdbcluster.cli.printable import printable
from vdbcluster.config.settings import Settings
from vdbcluster.errors import UsageError

if TYPE_CHECKING:
    from vdbcluster.worker.jobs import Plan

SHOWN = 3
"""Times of each command that ``--check`` shows."""
Cron = Annotated[str, typer.Option("--cron", help="Cron line of a full run, as '0 3 * * *'.")]
Every = Annotated[str, typer.Option("--every", help="Full run at this interval, as 1d.")]
AssignCron = Annotated[str, typer.Option("--assign-cron", help="Cron line of assign.")]
AssignEvery = Annotated[str, typer.Option("--assign-every", help="Interval of assign, as 10m.")]


def worker(
    settings: Settings,
    jobs: Annotated[
        Path | None, typer.Option("--jobs", help="TOML file with several jobs; see the README.")
    ] = None,
    cron: Cron = "",
    every: Every = "",
    assign_cron: AssignCron = "",
    assign_every: AssignEvery = "",
    check: Annotated[
        bool, typer.Option("--check", help="Check all that was said, show the next times, end.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")] = False,  # noqa: ARG001
) -> None:
    """Run jobs on a schedule until told to end.

    Each run is a process of its own; two of one job never overlap. Answers /healthz, /readyz and
    /metrics on --host and --port. SIGTERM lets runs under way end within --grace, then
    interrupts them.

    Example: vdbcluster worker -c articles --cron "0 3 * * *" --assign-every 10m
    """
    from vdbcluster.worker.jobs import one_job, read_jobs
    from vdbcluster.worker.service import Worker, check_plan

    lines = {
        "cron": cron,
        "every": every,
        "assign_cron": assign_cron,
        "assign_every": assign_every,
    }
    if jobs is not None and (given := [name for name, value in lines.items() if value]):
        flag = given[0].replace("_", "-")
        raise UsageError(f"--jobs and --{flag} are two schedules; leave one out")
    plan = one_job(lines, settings) if jobs is None else read_jobs(jobs, settings)
    if check:
        check_plan(plan)
        _show(plan)
        return
    from vdbcluster.adapters.telemetry.logs import open_log

    form = settings.telemetry.log_format
    Worker(plan, open_log("text" if form == "text" else "json")).run()


def _show(plan: Plan) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for job in plan.jobs:
        console.print(printable(f"{job.name}: {job.settings.milvus.collection}"))
        for command, table in job.tables.items():
            at = datetime.now(UTC)
            times = [at := table.after(at) for _ in range(SHOWN)]
            told = ", ".join(time.isoformat(sep=" ", timespec="seconds") for time in times)
            console.print(f"  {command:<7} {told}")
