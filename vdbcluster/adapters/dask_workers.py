"""``Workers`` that are processes or machines, by ``dask.distributed`` (the extra ``cluster``).

In: the address of a scheduler, or a number of processes of this machine. Out: ``Workers``.
Promise: work of a worker that is lost is done by another; what a worker raises is raised here; the
rest is called off, and what was finished stays (``dask_loop``). Workers of another version of
vdbcluster are refused. Processes of this machine end with this one, however it ends, and are not
told of Ctrl-C, which a terminal sends to all of them: they would each say where it found them.
What interrupts their beginning, or their end, waits for it, a few seconds: Dask cannot end half of
them, and would say so.

    with dask_workers(processes=4) as workers:
        hierarchy_in_shards(store, bounds, params, workers, observer)
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib import metadata
from multiprocessing import resource_tracker
from threading import current_thread, main_thread
from types import FrameType
from typing import Any

from vdbcluster.adapters.dask_loop import Handing
from vdbcluster.errors import UsageError
from vdbcluster.ports.shards import Work

FIRST_SECONDS = 60.0
"""For so long the first worker is waited for."""
TELL_SECONDS = 10.0
"""For so long workers are waited for that are told something when a run ends."""


@dataclass(frozen=True, slots=True)
class DaskWorkers:
    """``client``: a ``distributed.Client``; ``dashboard``: where it shows what it does.

    ``at_once``: pieces that are under way at most, whoever joins meanwhile; None: enough for all.
    ``twice``: a piece that takes much longer than its fellows is begun by a second worker, too.
    ``hung``: workers that get no more work until the future that belongs to each is done.
    """

    client: Any
    dashboard: str = ""
    at_once: int | None = None
    twice: bool = True
    hung: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def count(self) -> int:
        """Workers that there are now."""
        return len(self.client.nthreads())

    def each(self, work: Work, shards: Sequence[int], done: Callable[[int], None]) -> None:
        handing = Handing(self.client, work, iter(shards), self.at_once, self.twice, self.hung)
        handing.run(done)

    def tell(self, call: Callable[[], None]) -> None:
        """Have every worker do it, those excepted that are gone or hang."""
        with suppress(OSError, TimeoutError):
            self.client.run(call, on_error="ignore", callback_timeout=TELL_SECONDS)


@contextmanager
def dask_workers(*, scheduler: str = "", processes: int = 0) -> Iterator[DaskWorkers]:
    """Those of ``scheduler``, such as ``tcp://10.0.0.5:8786``, or ``processes`` on this machine.

    Raises ``UsageError`` without the extra, where no scheduler or worker answers, or one hangs, and
    where workers have another version of vdbcluster, or none.
    """
    try:
        from distributed import Client, LocalCluster
    except ModuleNotFoundError as error:
        raise UsageError(
            "workers need the extra cluster: pip install 'vdbcluster[cluster]'"
        ) from error
    with _quiet():
        if scheduler:
            with _client(Client, scheduler) as client:
                check_workers(client)
                yield DaskWorkers(client, str(client.dashboard_link))
            return
        with ExitStack() as stack:
            with _deaf():
                cluster = LocalCluster(
                    n_workers=processes,
                    threads_per_worker=1,
                    host="127.0.0.1",
                    dashboard_address="127.0.0.1:0",
                    memory_limit=0,  # Dask counts mapped pages as memory, and stops at them
                    silence_logs=logging.CRITICAL,
                )
                stack.enter_context(cluster)
                client = stack.enter_context(_client(Client, cluster))
            try:
                yield DaskWorkers(client, str(client.dashboard_link))
            finally:
                with _later(signal.SIGTERM), _later(signal.SIGINT):
                    stack.close()


def check_workers(client: Any) -> None:
    """``UsageError`` where no worker comes, or one has another vdbcluster than this process."""
    try:
        client.wait_for_workers(1, timeout=FIRST_SECONDS)
    except TimeoutError as error:
        raise UsageError(
            "the Dask scheduler has no worker; start some with dask worker ADDRESS, where this "
            "version of vdbcluster is installed"
        ) from error
    ours = metadata.version("vdbcluster")
    try:
        found = client.run(
            metadata.version, "vdbcluster", on_error="return", callback_timeout=FIRST_SECONDS
        )
    except TimeoutError as error:
        raise UsageError(
            f"a worker of the Dask scheduler has not answered for {FIRST_SECONDS:.0f} seconds; end "
            "the one that hangs (the dashboard shows them), then run again"
        ) from error
    for worker, theirs in sorted(found.items()):
        if isinstance(theirs, metadata.PackageNotFoundError):
            raise UsageError(
                f"the worker {worker} has no vdbcluster; install version {ours} on all workers"
            )
        if theirs != ours:
            raise UsageError(
                f"the worker {worker} has vdbcluster {theirs}, and this is {ours}; give all of "
                "them the same version"
            )


@contextmanager
def _deaf() -> Iterator[None]:
    """What interrupts it waits for its end; threads and processes that begin in it never hear of
    Ctrl-C. Of SIGTERM they do, by which alone they can be asked to end.
    """
    with _later(signal.SIGTERM):
        if not hasattr(signal, "pthread_sigmask"):  # Windows
            yield
            return
        resource_tracker.ensure_running()  # who starts it later unblocks the signal
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _later(number: signal.Signals) -> Iterator[None]:
    """A signal that this process answers by a function is answered at the end of it.

    If it comes a second time, at once. Nothing where there is no such function; only the main
    thread may say who answers, and is who is interrupted.
    """
    answer, came = signal.getsignal(number), list[int]()
    if not callable(answer) or current_thread() is not main_thread():
        yield
        return

    def put_off(found: int, frame: FrameType | None) -> None:
        came.append(found)
        if len(came) > 1:
            answer(found, frame)

    signal.signal(number, put_off)
    try:
        yield
    finally:
        signal.signal(number, answer)
        if came:
            signal.raise_signal(number)


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask logs each lost worker and each failure with its arguments; we tell what matters.

    After Ctrl-C it stays quiet: its threads go on with what they began until the process ends.
    """
    logger, interrupted = logging.getLogger("distributed"), False
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        if not interrupted:
            logger.setLevel(level)


def _client(kind: Any, address: Any) -> Any:
    try:
        return kind(address, timeout="20s")
    except TypeError as error:  # Dask's way to say that it has no certificates
        raise UsageError(
            f"{address} cannot be reached by TLS ({error}); set "
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ..__TLS__CLIENT__CERT and ..__TLS__CLIENT__KEY"
        ) from error
    except (OSError, ValueError) as error:
        raise UsageError(
            f"no dask scheduler answers at {address}: {error}; start one with dask scheduler, or "
            "let this machine work with --workers N"
        ) from error
