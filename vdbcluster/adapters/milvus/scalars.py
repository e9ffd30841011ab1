"""Scalar and dynamic fields: which can be asked for, under which name, and values in order.

In: a ``CollectionProfile``, names of fields, pages of values. Out: names for ``output_fields``;
columns in the order of some keys. Promise: a dynamic field can have any name, also one that the
language of the server cannot say (2.3.5 refuses ``Income (k$)``): it then comes with all others.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from vdbcluster.errors import UsageError
from vdbcluster.model.arrays import Keys
from vdbcluster.model.collection import CollectionProfile

DYNAMIC = "$meta"
"""Under this name all that is in the dynamic field comes, key by key."""
_SAYABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, eq=False)
class ScalarPage:
    """``keys (m,)`` and for each field its ``m`` values, None where a row has none."""

    keys: Keys
    values: dict[str, list[Any]] = field(default_factory=dict)
    partition: str = ""


def check_fields(profile: CollectionProfile, fields: Sequence[str]) -> None:
    """Raises ``UsageError`` for a name that is no field, where there are no dynamic ones."""
    if profile.dynamic:
        return
    known = {scalar.name for scalar in profile.scalars} | {profile.key.name}
    unknown = [name for name in fields if name not in known]
    if unknown:
        raise UsageError(
            f"{profile.name!r} has no field {unknown[0]!r}; it has {', '.join(sorted(known))}"
        )


def asked(profile: CollectionProfile, fields: Sequence[str]) -> tuple[str, ...]:
    """What to ask the server for, so that its rows have these fields."""
    known = {scalar.name for scalar in profile.scalars} | {profile.key.name}
    odd = [name for name in fields if name not in known and not _SAYABLE.fullmatch(name)]
    if not odd:
        return tuple(fields)
    return (*(name for name in fields if name in known), DYNAMIC)


def in_order(
    pages: Iterator[ScalarPage], keys: Keys, fields: Sequence[str]
) -> dict[str, list[object]]:
    """Columns in the order of ``keys`` from pages in any order; None where no row came."""
    wanted = keys.tolist()
    place = {key: i for i, key in enumerate(dict.fromkeys(wanted))}
    found: dict[str, list[object]] = {name: [None] * len(place) for name in fields}
    for page in pages:
        rows = [(i, place[key]) for i, key in enumerate(page.keys.tolist()) if key in place]
        for name, values in page.values.items():
            column = found[name]
            for i, row in rows:
                column[row] = _shared(values[i])
    if len(place) == len(wanted):
        return found
    return {name: [column[place[key]] for key in wanted] for name, column in found.items()}


def _shared(value: object) -> object:
    """The same text in a million rows is held once."""
    return sys.intern(value) if type(value) is str else value
