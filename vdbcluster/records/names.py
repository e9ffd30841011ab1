"""Names of fields: which ones Milvus takes, and which one was meant.

In: names. Out: a verdict, a name that is free, or ``UsageError`` in one line with what there is.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable

from vdbcluster.errors import UsageError

LISTED = 30
"""Fields that a message lists before it says how many more there are."""
MAX_NAME = 255

_LEGAL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = frozenset(
    {"$meta", "like", "exists", "and", "or", "not", "in", "true", "false", "is", "null"}
    | {"json_contains", "json_contains_all", "json_contains_any", "array_length"}
    | {"array_contains", "array_contains_all", "array_contains_any"}
    | {"text_match", "phrase_match", "random_sample"}
)
"""Words of the filter language, which a field cannot be called."""


def is_legal(name: str) -> bool:
    """Whether a column of a collection can have this name."""
    return bool(_LEGAL.fullmatch(name)) and len(name) <= MAX_NAME and name.lower() not in _RESERVED


def check_legal(name: str, what: str) -> None:
    """Raises ``UsageError`` if a column cannot be called so; ``what`` says who wants it."""
    if not is_legal(name):
        raise UsageError(
            f"{what} {name!r} cannot be a column of a Milvus collection: names are letters, digits "
            "and _, do not begin with a digit, and are no word of the filter language; rename it "
            "in the source, or leave it to the dynamic field"
        )


def free_name(wishes: Iterable[str], taken: Collection[str]) -> str:
    """The first legal wish that is not taken, else the last one with underscores before it."""
    name = ""
    for name in wishes:
        if is_legal(name) and name not in taken:
            return name
    while name in taken:
        name = f"_{name}"
    return name


def check_known(name: str, known: Collection[str], what: str) -> None:
    """Raises ``UsageError`` for a field that the source does not have."""
    if name in known:
        return
    near = _nearest(name, known)
    meant = f"did you mean {near!r}? Its" if near else "its"
    raise UsageError(f"{what} {name!r} is not in the source; {meant} fields are: {listed(known)}")


def listed(names: Collection[str]) -> str:
    """Names in a message."""
    shown = ", ".join(list(names)[:LISTED])
    more = len(names) - LISTED
    return f"{shown} and {more:,} more" if more > 0 else shown


def _nearest(name: str, known: Collection[str]) -> str | None:
    folded = {other.strip().casefold(): other for other in known}
    near = difflib.get_close_matches(name.strip().casefold(), folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else None
