"""``Workers`` that are processes or machines, by ``dask.distributed`` (the extra ``cluster``).

In: the address of a scheduler, or a number of processes of this machine. Out: ``Workers``.
Promise: work of a worker that is lost is done by another; what a worker raises is raised here; the
rest is called off, and what was finished stays.

    with dask_workers(processes=4) as workers:
        hierarchy_in_shards(store, bounds, params, workers, observer)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from vdbcluster.errors import UsageError
from vdbcluster.ports.shards import Work

RETRIES = 3
"""Of work that failed; a worker that died does not count."""


@dataclass(frozen=True, slots=True)
class DaskWorkers:
    """``client``: a ``distributed.Client``; ``dashboard``: where it shows what it does."""

    client: Any
    dashboard: str = ""

    def each(self, work: Work, shards: Sequence[int], done: Callable[[int], None]) -> None:
        from distributed import as_completed

        futures = self.client.map(work, list(shards), pure=False, retries=RETRIES)
        try:
            for future in as_completed(futures):
                future.result()
                done(1)
        finally:
            self.client.cancel(futures)


@contextmanager
def dask_workers(*, scheduler: str = "", processes: int = 0) -> Iterator[DaskWorkers]:
    """Those of ``scheduler``, such as ``tcp://10.0.0.5:8786``, or ``processes`` on this machine.

    Raises ``UsageError`` without the extra, or where no scheduler answers.
    """
    try:
        from distributed import Client, LocalCluster
    except ModuleNotFoundError as error:
        raise UsageError(
            "workers need the extra cluster: pip install 'vdbcluster[cluster]'"
        ) from error
    if scheduler:
        with _client(Client, scheduler) as client:
            yield DaskWorkers(client, str(client.dashboard_link))
        return
    with (
        LocalCluster(
            n_workers=processes,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        _client(Client, cluster) as client,
    ):
        yield DaskWorkers(client, str(client.dashboard_link))


def _client(kind: Any, address: Any) -> Any:
    try:
        return kind(address, timeout="20s")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"no dask scheduler answers at {address}: {error}; start one with dask scheduler, or "
            "let this machine work with --workers N"
        ) from error
