"""Who writes the line of an error that a command ends with, where it is not for a person.

In: a function, set by a command that logs for machines. Out: whether it has written the line.
"""

from __future__ import annotations

from collections.abc import Callable

Say = Callable[[str, int], None]
_said_by: list[Say] = []


def said_by(say: Say) -> None:
    """From now on ``say(text, exit code)`` writes that line."""
    _said_by[:] = [say]


def say_last(text: str, code: int) -> bool:
    """Write it; False where nobody was set, so that it is to be written for a person."""
    for say in _said_by:
        say(text, code)
    return bool(_said_by)
