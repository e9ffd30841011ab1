"""A question to the person at the terminal."""

from __future__ import annotations

import typer


def agreed(question: str) -> bool:
    """The answer; asked on standard error, so that standard output stays for results.

    Ctrl-C or the end of input instead of an answer is an interrupt, as anywhere else.
    """
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        raise KeyboardInterrupt from None
