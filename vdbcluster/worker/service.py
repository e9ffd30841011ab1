"""The worker: starts what is due, waits for it, tells of it, and ends when it is told to.

    Worker(plan, log).run()

In: a ``Plan``. Out: runs in processes of their own, log, metrics, answers to probes.
Promise: what is started never waits for what is told; told to end (SIGTERM, SIGINT), it starts
nothing more, gives runs ``grace`` seconds to end, interrupts and at last kills them; each further
signal hurries that. A run that was interrupted is due again when the worker is back.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Thread

from prometheus_client import CollectorRegistry
from prometheus_client.process_collector import ProcessCollector

from vdbcluster.adapters.telemetry.logs import Log
from vdbcluster.model.outcome import Ending, Outcome
from vdbcluster.wiring.telemetry import check_telemetry, report
from vdbcluster.worker.agenda import Agenda, Entry, Skip, Start
from vdbcluster.worker.child import Child, start
from vdbcluster.worker.http import application, serving
from vdbcluster.worker.jobs import Plan
from vdbcluster.worker.metrics import WorkerMetrics
from vdbcluster.worker.reach import Reach
from vdbcluster.worker.state import Memory

TICK = 1.0
"""Seconds between two looks at the clock, which may be set or stand still meanwhile."""
STUCK = 15.0
"""Seconds without a look after which the worker says of itself that it is not well."""
PARTING = 5.0
"""Seconds that the last messages to others may take."""
LONG_AGO = timedelta(days=7)
"""Times before are not made up for, nor counted."""
CALM = (Ending.DONE, Ending.CHANGES, Ending.LOCKED, Ending.INTERRUPTED)


def check_plan(plan: Plan) -> None:
    """``UsageError`` if something is wrong that can be seen before anything is started."""
    Reach(job.settings.milvus.uri for job in plan.jobs)
    for job in plan.jobs:
        check_telemetry(job.settings.telemetry)


class Worker:
    """See the module."""

    def __init__(self, plan: Plan, log: Log) -> None:
        check_plan(plan)
        self._settings, self._log = plan.worker, log
        self._jobs = {job.name: job for job in plan.jobs}
        self._memories = {
            job.name: Memory(job.settings.run.runs_dir, job.name) for job in plan.jobs
        }
        for memory in self._memories.values():
            memory.check()
        self._agenda = Agenda(
            self._entries(datetime.now(UTC)), timedelta(seconds=plan.worker.misfire_grace)
        )
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._metrics = WorkerMetrics(self._registry, self._agenda.entries)
        self._reach = Reach(job.settings.milvus.uri for job in plan.jobs)
        self._children: dict[str, Child] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._telling: list[Thread] = []
        self._looked = time.monotonic()
        self._signals = 0

    def _entries(self, now: datetime) -> Iterator[Entry]:
        """Each from the last time that was dealt with; a new one from now on."""
        for job in self._jobs.values():
            memory = self._memories[job.name]
            for command, table in job.tables.items():
                if (known := memory.of(command)) is None:
                    memory.keep(command, now, None)
                since = max(known.dealt_with, now - LONG_AGO) if known else now
                yield Entry(job.name, command, table, table.after(since))

    def run(self) -> None:
        """Work until told to end; ``UsageError`` if nobody can be answered at host and port."""
        pages = {"/healthz": self._unwell, "/readyz": self._unready}
        app = application(self._registry, pages)
        with serving(self._settings.host, self._settings.port, app) as port:
            self._remember_successes()
            self._log.info("started", url=f"http://{self._settings.host}:{port}", due=self._due())
            asyncio.run(self._work())
            self._log.info("stopped")

    def _remember_successes(self) -> None:
        for entry in self._agenda.entries:
            known = self._memories[entry.job].of(entry.command)
            if known and known.ended_well:
                moment = known.ended_well.timestamp()
                self._metrics.last.succeeded(entry.job, entry.command, moment)

    def _due(self) -> dict[str, str]:
        return {f"{e.job} {e.command}": e.due.isoformat() for e in self._agenda.entries}

    def _unwell(self) -> list[str]:
        idle = time.monotonic() - self._looked
        return [f"the schedule was last looked at {idle:.0f} s ago"] if idle > STUCK else []

    def _unready(self) -> list[str]:
        stopping = ["it is ending"] if self._signals else []
        return stopping + self._unwell() + self._reach.wrong()

    async def _work(self) -> None:
        self._told = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        while not self._signals:
            await self._look()
            await self._pause()
        await self._wind_up()
        if self._tasks:
            await asyncio.wait(self._tasks)
        until = time.monotonic() + PARTING
        for thread in self._telling:
            thread.join(max(0.0, until - time.monotonic()))
        if left := sum(map(Thread.is_alive, self._telling)):
            self._log.warning("not told", message=f"{left} report(s) had no answer at the end")

    def _signalled(self) -> None:
        self._signals += 1
        self._told.set()

    async def _pause(self) -> None:
        """Until the next look, a signal, or the end of a run."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._told.wait(), self._until_next())
        self._told.clear()

    def _until_next(self) -> float:
        waiting = (e.due for e in self._agenda.entries if e.job not in self._children)
        first = min(waiting, default=None)
        left = (first - datetime.now(UTC)).total_seconds() if first else TICK
        return TICK if left <= 0 else min(TICK, left)

    async def _look(self) -> None:
        free = self._settings.at_once - len(self._children)
        for item in self._agenda.take(datetime.now(UTC), self._children.keys(), free):
            if item.missed:
                self._missed(item)
            if isinstance(item, Start) and not self._signals:
                await self._start(item)
        self._metrics.due(self._agenda.entries)
        self._looked = time.monotonic()

    def _missed(self, item: Start | Skip) -> None:
        self._metrics.missed(item.job, item.command, item.missed)
        told = {"job": item.job, "command": item.command, "times": item.missed}
        if isinstance(item, Skip):
            self._log.warning("skipped", message="too late to be made up for", **told)
            self._keep(item, None)
        else:
            self._log.info("coalesced", message="one run makes up for them", **told)

    async def _start(self, item: Start) -> None:
        job = self._jobs[item.job]
        log = self._log.bind(job=item.job, command=item.command)
        try:
            child = await start(job, item.command, self._log)
        except OSError as error:
            log.error("not started", message=str(error))
            self._metrics.missed(item.job, item.command, 1)
            return
        self._children[item.job] = child
        self._metrics.started(item.job, item.command)
        log.info("starting", pid=child.pid, due=item.at.isoformat())
        task = asyncio.create_task(self._see_off(item, child))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _see_off(self, item: Start, child: Child) -> None:
        outcome = await child.outcome()
        del self._children[item.job]
        self._told.set()
        if outcome.ending is not Ending.INTERRUPTED:
            self._keep(item, outcome.finished if outcome.succeeded else None)
        self._metrics.ended(outcome)
        self._tell(outcome)
        # Not a thread of a pool, which the end of the process would wait for.
        telling = Thread(target=self._report, args=(outcome,), name="report", daemon=True)
        telling.start()
        self._telling = [*filter(Thread.is_alive, self._telling), telling]

    def _keep(self, item: Start | Skip, ended_well: datetime | None) -> None:
        try:
            self._memories[item.job].keep(item.command, item.at, ended_well)
        except OSError as error:
            self._log.warning("not remembered", job=item.job, message=str(error))

    def _tell(self, outcome: Outcome) -> None:
        say = self._log.info if outcome.ending in CALM else self._log.error
        say(
            "ended",
            job=outcome.job,
            command=outcome.command,
            run_id=outcome.run_id,
            outcome=outcome.ending.value,
            exit_code=outcome.exit_code,
            message=outcome.message,
            seconds=round(outcome.seconds, 3),
            **outcome.figures.counts(),
        )

    def _report(self, outcome: Outcome) -> None:
        job = self._jobs[outcome.job]
        log = self._log.bind(job=outcome.job, command=outcome.command, run_id=outcome.run_id)
        report(job.settings.telemetry, outcome, lambda told: log.warning("not told", message=told))

    async def _wind_up(self) -> None:
        """Let runs end, interrupt them, kill them; at the next signal the next step."""
        self._log.info(
            "stopping", message=f"{len(self._children)} under way", grace=self._settings.grace
        )
        if await self._emptied(self._settings.grace):
            return
        for child in self._children.values():
            child.interrupt()
        if await self._emptied(self._settings.kill_after):
            return
        for child in self._children.values():
            child.kill()

    async def _emptied(self, seconds: float) -> bool:
        """Whether nothing is under way any more, after at most so many seconds."""
        signals, deadline = self._signals, time.monotonic() + seconds
        while self._children and self._signals == signals:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), min(left, TICK))
            self._told.clear()
            self._looked = time.monotonic()
        return not self._children
