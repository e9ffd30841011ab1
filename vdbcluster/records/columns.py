"""What the values of a column are, found by looking at all of them.

In: values, one after the other. Out: ``Column``. Promise: every value can be written as that kind
without loss; where nothing narrower holds for all of them, it is JSON (NaN and infinity are null).

    kinds = Kinds()
    for value in values: kinds.see(value)
    kinds.column("price")       # Column("price", "DOUBLE")
"""

from __future__ import annotations

from typing import Any

from vdbcluster.model.tables import Column, Kind

INT64 = range(-(2**63), 2**63)
EXACT = 2**53
"""Up to here a DOUBLE holds every whole number."""


class Kinds:
    """See the module; None is passed over."""

    def __init__(self) -> None:
        self._kinds: set[Kind] = set()
        self._items: Kinds | None = None
        self._large = False

    def see(self, value: Any) -> None:
        if value is None:
            return
        if isinstance(value, (list, tuple)):
            self._items = self._items or Kinds()
            for item in value:
                self._items.see(item)
            return
        self._large |= type(value) is int and abs(value) > EXACT
        self._kinds.add(_kind(value))

    @property
    def empty(self) -> bool:
        """Whether nothing but None was seen."""
        return not self._kinds and self._items is None

    @property
    def kind(self) -> Kind:
        """Of what is no list; TEXT where nothing was seen."""
        if self._items is not None or "JSON" in self._kinds:
            return "JSON"
        if self._kinds == {"INT64", "DOUBLE"} and not self._large:
            return "DOUBLE"
        if len(self._kinds) > 1:
            return "JSON"
        return next(iter(self._kinds), "TEXT")

    def column(self, name: str) -> Column:
        if self._items is None or self._kinds:
            return Column(name, self.kind)
        inner = self._items.kind
        return Column(name, "JSON") if inner == "JSON" else Column(name, inner, many=True)


def _kind(value: Any) -> Kind:
    if isinstance(value, bool):
        return "BOOL"
    if isinstance(value, int):
        return "INT64" if value in INT64 else "JSON"
    if isinstance(value, float):
        return "DOUBLE"
    return "TEXT" if isinstance(value, str) else "JSON"
