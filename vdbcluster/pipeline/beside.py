"""One call in a thread of its own, beside work that does not need its result yet.

In: a call without arguments. Out: a ``Future`` of what it returns.
Promise: its error is raised where the result is asked for, at the next step of a stage that is
``minded``, or else when the context ends. An error of the body goes first; the call then has
``GRACE`` seconds to tidy up (a second Ctrl-C cuts that short), and is not waited for any longer:
the process can end without it.

    with beside(choose_way) as way:
        rows = read(source, minded(observer, way))
        write(rows, way.result())
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any, TypeVar

from vdbcluster.ports import Observer, Progress

T = TypeVar("T")

GRACE = 5.0


@contextmanager
def beside(call: Callable[[], T]) -> Iterator[Future[T]]:
    """Run ``call`` while the body runs; see the module."""
    future: Future[T] = Future()
    Thread(target=_settle, args=(future, call), name="beside", daemon=True).start()
    try:
        yield future
        future.result()
    finally:
        wait((future,), GRACE)


def _settle(future: Future[T], call: Callable[[], T]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001  raised again where the result is asked for
        future.set_exception(error)


def known(value: T) -> Future[T]:
    """For a value that nobody has to wait for."""
    future: Future[T] = Future()
    future.set_result(value)
    return future


def minded(observer: Observer, future: Future[Any]) -> Observer:
    """The observer, but every step of a stage raises the error of ``future`` if it has one."""
    return _Minding(observer, future)


@dataclass(frozen=True, slots=True)
class _Minding:
    observer: Observer
    future: Future[Any]

    @contextmanager
    def stage(self, name: str, total: int | None, unit: str = "rows") -> Iterator[Progress]:
        with self.observer.stage(name, total, unit) as progress:
            self.check()
            yield _Minded(self, progress)

    def note(self, text: str) -> None:
        self.observer.note(text)

    def warn(self, text: str) -> None:
        self.observer.warn(text)

    def check(self) -> None:
        if self.future.done():
            self.future.result()


@dataclass(frozen=True, slots=True)
class _Minded:
    minding: _Minding
    progress: Progress

    def advance(self, rows: int) -> None:
        self.progress.advance(rows)
        self.minding.check()

    def detail(self, text: str) -> None:
        self.progress.detail(text)
