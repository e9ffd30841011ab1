"""Ctrl-C and SIGTERM as one ``KeyboardInterrupt``, raised where nobody swallows it.

In: nothing. Out: who answers these signals in this process. Promise: an interrupt is answered once,
within ``LONGEST`` seconds, however early it comes. While a module is being imported it waits: what
is half imported cannot be imported again (grpc ends the process), and C code that is on its way
ignores exceptions. Python ignores them, too, in callbacks, and tells so: there it comes once more.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

AGAIN = 0.02
LONGEST = 5.0
"""An import that takes longer is interrupted: it may hang."""
IMPORTING = "<frozen importlib._bootstrap>"


class Interrupts:
    """Who answers; ``since``: when the one came that is not yet answered.

    ``coming``: it is on its way once more, so nobody else has to send it.
    """

    def __init__(self) -> None:
        self.since: float | None = None
        self.coming = False

    def answer(self, number: int, frame: FrameType | None) -> None:
        """As a signal's handler."""
        now = time.monotonic()
        if self.since is None:
            self.since = now
        if importing(frame) and now - self.since < LONGEST:
            self.again(number)
            return
        self.since, self.coming = None, False
        raise KeyboardInterrupt

    def ignored(self, found: sys.UnraisableHookArgs) -> None:
        """As ``sys.unraisablehook``."""
        if issubclass(found.exc_type, KeyboardInterrupt):
            self.again(signal.SIGTERM)
        else:
            sys.__unraisablehook__(found)

    def again(self, number: int) -> None:
        """The signal once more, soon. A bare thread: a handler may not wait for a lock."""
        if not self.coming:
            self.coming = True
            _thread.start_new_thread(self._send, (number,))

    def _send(self, number: int) -> None:
        time.sleep(AGAIN)
        if not self.coming:  # another came meanwhile and was answered
            return
        self.coming = False
        if hasattr(signal, "pthread_kill"):  # wakes the main thread where it waits
            signal.pthread_kill(threading.main_thread().ident or 0, number)
        else:
            _thread.interrupt_main(signal.Signals(number))


def answer_interrupts() -> None:
    """From the main thread. Ctrl-C stays ignored where whoever started this wanted it so."""
    interrupts = Interrupts()
    signal.signal(signal.SIGTERM, interrupts.answer)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupts.answer)
    sys.unraisablehook = interrupts.ignored


def end_at_once(code: int) -> None:
    """From now on an interrupt ends this process: all is said, and what Python does at the end of
    it, such as joining threads, is not to be broken off in the middle.
    """

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        os._exit(code)

    for number in (signal.SIGTERM, signal.SIGINT):
        if callable(signal.getsignal(number)):
            signal.signal(number, end)


def importing(frame: FrameType | None) -> bool:
    """Whether this frame, or one that called it, is Python's import of a module."""
    while frame is not None and frame.f_code.co_filename != IMPORTING:
        frame = frame.f_back
    return frame is not None
