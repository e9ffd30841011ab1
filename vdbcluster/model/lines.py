"""A text as one short line, fit to be shown in a table."""

from __future__ import annotations


def one_line(text: str, width: int) -> str:
    """``text`` without line breaks, cut to ``width`` characters with an ellipsis.

    What is not printable becomes a blank: it could steer the terminal that it is shown on.
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= width else line[: width - 1] + "…"
