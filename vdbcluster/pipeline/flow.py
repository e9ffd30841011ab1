"""A function over a stream, by several threads at once, its results in the order of the stream.

In: an iterable, a function. Out: results, in order. Promise: at most ``ahead`` items are taken from
the stream before their turn, so that memory is bounded; the first failure, in order, is raised, and
what has not begun by then never does; an interrupt does not wait for calls that are under way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 4
"""Items a thread: while one call is slow or waits to be repeated, the others go on this long."""


def in_order(
    function: Callable[[T], R], items: Iterable[T], workers: int, ahead: int | None = None
) -> Generator[R, None, None]:
    """``map(function, items)`` with ``workers`` threads."""
    if workers <= 1:
        yield from map(function, items)
        return
    limit = ahead or AHEAD * workers
    under_way: deque[Future[R]] = deque()
    crew = _Crew(function, workers)
    try:
        for item in items:
            under_way.append(crew.submit(item))
            if len(under_way) >= limit:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        for future in under_way:
            future.cancel()
        crew.dismiss()


class _Crew(Generic[T, R]):
    """Threads that the process does not wait for when it ends, unlike those of an executor."""

    def __init__(self, function: Callable[[T], R], workers: int) -> None:
        self._function = function
        self._workers = workers
        self._work: SimpleQueue[tuple[Future[R], T] | None] = SimpleQueue()
        for number in range(workers):
            Thread(target=self._go_on, name=f"flow-{number}", daemon=True).start()

    def submit(self, item: T) -> Future[R]:
        future: Future[R] = Future()
        self._work.put((future, item))
        return future

    def dismiss(self) -> None:
        for _ in range(self._workers):
            self._work.put(None)

    def _go_on(self) -> None:
        while (work := self._work.get()) is not None:
            future, item = work
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = self._function(item)
            except BaseException as error:  # noqa: BLE001  told to whoever asks for the result
                future.set_exception(error)
            else:
                future.set_result(result)
