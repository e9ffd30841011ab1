"""Clusters of rows of a file by their scalar fields alone.

In: ``Classifiers`` of a run, a ``RecordSource``. Out: for each row its cluster and how probable it
is. Promise: rows in order, in batches of bounded memory, each judged by itself; no vectors, no
database; a row whose values cannot be read is refused, never guessed.

    for batch in classify(classifiers, source, threshold=0.5): ...
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vdbcluster.errors import SourceRowError, UsageError
from vdbcluster.model.classified import Classified
from vdbcluster.model.records import FieldType, SourceRow
from vdbcluster.ports.records import RecordSource
from vdbcluster.records.values import MisfitError, cast, is_missing, shown

if TYPE_CHECKING:  # see ``pipeline.features``
    from vdbcluster.features import Classifiers, Feature


LISTED = 8
"""Names of fields in a message."""


def classify(
    classifiers: Classifiers, source: RecordSource, *, threshold: float, id_field: str = ""
) -> Iterator[Classified]:
    """Raises ``UsageError`` for fields that no row has and where the extra is missing,
    ``SourceRowError`` for a row that cannot be read or a value of another kind.
    """
    from vdbcluster.features import assign_by_fields, forests

    needed = [feature.name for feature in classifiers.features]
    _check_fields(source, [*needed, id_field] if id_field else needed)
    trees = forests(classifiers)
    for batch in source.batches():
        if batch.faults:
            fault = batch.faults[0]
            raise SourceRowError(f"{source.description}: row {fault.number:,}: {fault.reason}")
        columns = {
            feature.name: [_value(feature, row, source) for row in batch.rows]
            for feature in classifiers.features
        }
        labels, probabilities = assign_by_fields(
            classifiers, columns, threshold=threshold, trees=trees
        )
        yield Classified(
            numbers=tuple(row.number for row in batch.rows),
            names=tuple(row.values.get(id_field) for row in batch.rows) if id_field else None,
            labels=labels,
            probabilities=probabilities,
        )


def _check_fields(source: RecordSource, needed: Sequence[str]) -> None:
    """Reads no further than until each name was seen, which mostly is the first row."""
    missing = dict.fromkeys(needed)
    there: set[str] = set()
    for batch in source.batches():
        for row in batch.rows:
            there |= row.values.keys()
            for name in [name for name in missing if name in row.values]:
                del missing[name]
            if not missing:
                return
    raise UsageError(
        f"{source.description} has no field {_listed(list(missing))}; it has "
        f"{_listed(sorted(there)) or 'none'}"
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(map(repr, names[:LISTED])) + more


def _value(feature: Feature, row: SourceRow, source: RecordSource) -> object:
    """A value of a row as the kind of the feature takes it."""
    value = row.values.get(feature.name)
    if is_missing(value):
        return None
    if feature.kind != "category" and isinstance(value, str) and not value.strip():
        return None
    wanted: dict[str, tuple[FieldType, str]] = {
        "number": ("DOUBLE", "no number"),
        "bool": ("BOOL", "neither true nor false"),
    }
    if feature.kind in wanted:
        kind, what = wanted[feature.kind]
        if kind == "DOUBLE" and isinstance(value, int | float):
            return value  # the largest ones too, as in the table that was learnt from
        try:
            return cast(value, kind)
        except MisfitError:
            raise _misfit(feature, row, source, what) from None
    if isinstance(value, list | dict):
        raise _misfit(feature, row, source, "no single value")
    return value


def _misfit(feature: Feature, row: SourceRow, source: RecordSource, what: str) -> SourceRowError:
    return SourceRowError(
        f"{source.description}: row {row.number:,}: the field {feature.name!r} holds "
        f"{shown(row.values[feature.name])}, which is {what}; mend it, or leave it empty"
    )
