"""Rows with the labels that they carry now, into a table.

In: where rows come from, a file, what is wanted of them. Out: ``Exported``.
Promise: every selected row is in the table, or it is refused; labels are those that are stored, a
row without one has none; memory of a page (and, with places on a map, some bytes for each row).

    exported = export_rows(Exporting(rows, source, table, store, ...), observer)

Columns: the key; declared fields; dynamic ones by name; the labels as they are called in the
collection; ``<prefix>name``, as the catalogue has it; ``<prefix>x``, ``<prefix>y`` where the
rows are on a map; the vector.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from vdbcluster.errors import RefusedError, UsageError
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.labels import LabelField, LabelFields
from vdbcluster.model.tables import LABELS, Column, Kind, RowBatch, RowPage, TableShape
from vdbcluster.pipeline.export_places import Places
from vdbcluster.ports import Observer, VectorSource
from vdbcluster.ports.tables import LabelledRows, StoreMaker, TableFile, Wanted

KINDS: Mapping[str, Kind] = {
    "BOOL": "BOOL",
    "INT8": "INT8",
    "INT16": "INT16",
    "INT32": "INT32",
    "INT64": "INT64",
    "FLOAT": "FLOAT",
    "DOUBLE": "DOUBLE",
    "VARCHAR": "TEXT",
    "STRING": "TEXT",
    "TEXT": "TEXT",
    "TIMESTAMPTZ": "TEXT",
    "GEOMETRY": "TEXT",
    "JSON": "JSON",
}
NAME, X, Y = "name", "x", "y"


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """``fields`` None: all. ``clusters``: only their rows, all without one. ``noise``: whether its
    rows come; None: unless clusters are named.
    """

    fields: tuple[str, ...] | None = None
    clusters: tuple[int, ...] = ()
    noise: bool | None = None
    vectors: bool = False

    @property
    def labels(self) -> tuple[int, ...]:
        """The labels whose rows are wanted alone; empty: those of all rows, without one too."""
        if not self.clusters or self.noise is not True:
            return self.clusters
        return (*self.clusters, NOISE)

    def takes(self, label: int | None) -> bool:
        """Whether a row with this label is wanted; None: it has none."""
        if label == NOISE and self.noise is False:
            return False
        return not self.clusters or label in self.labels


@dataclass(frozen=True, slots=True)
class Exporting:
    """What ``export_rows`` works with. ``names``: of clusters, None where there is no
    catalogue; ``places``: of rows on a map.
    """

    rows: LabelledRows
    source: VectorSource
    table: TableFile
    store: StoreMaker
    profile: CollectionProfile
    fields: LabelFields
    request: ExportRequest = ExportRequest()
    names: Mapping[int, str] | None = None
    places: Places | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """``read`` rows of the selection, ``rows`` of them in the table, ``labelled`` of these with a
    label, ``noise`` of these noise. ``placed``: on the map. ``formulas``: see ``Written``.
    """

    read: int
    rows: int
    labelled: int
    noise: int
    placed: int
    formulas: int
    columns: tuple[str, ...]


class _Counts:
    def __init__(self) -> None:
        self.read = self.chosen = self.labelled = self.noise = self.placed = 0
        self.brought: set[str] = set()


def export_rows(made: Exporting, observer: Observer) -> Exported:
    """See the module.

    Raises ``RefusedError`` if fewer rows came than the server counts, ``UsageError`` if a cluster
    that was named has no rows, or a field of the rows is called as a column of ours.
    """
    counts, before = _Counts(), made.source.count()
    with ExitStack() as stack:
        total = None if made.request.clusters else before
        progress = stack.enter_context(observer.stage("rows", total))

        def pages() -> Iterator[RowPage]:
            """Those that are wanted, read once; checked at the end, before a file is there."""
            for page in made.rows.pages(_wanted(made.request)):
                counts.read += len(page)
                chosen = _chosen(page, made)
                counts.chosen += len(chosen)
                if made.request.fields:
                    counts.brought.update(name for row in chosen.rest for name in row)
                progress.advance(len(page))
                yield chosen
            _check(made, counts, before)
            for name in _unseen(made, counts.brought):
                observer.warn(f"no row has a field {name!r}; check its name (--field)")

        found: Iterable[RowPage] = pages()
        if made.table.passes > 1 or (made.places and made.places.numbered):
            store = stack.enter_context(made.store())
            for page in found:
                store.put(page)
            found = store
        batches = _Batches(made, found, counts)
        written = made.table.write(_shape(made), batches)
    return Exported(
        counts.read,
        written.rows,
        counts.labelled,
        counts.noise,
        counts.placed,
        written.formulas,
        written.names,
    )


def _wanted(request: ExportRequest) -> Wanted:
    return Wanted(request.fields, request.vectors, request.labels)


def _check(made: Exporting, counts: _Counts, before: int) -> None:
    """All rows came, changes meanwhile allowed for; with clusters named, some did."""
    if made.request.clusters:
        if not counts.chosen:
            told = ", ".join(map(str, made.request.clusters))
            raise UsageError(
                f"no row of {made.profile.name!r} is labelled {told}; vdbcluster clusters list "
                "shows those there are"
            )
        return
    read, least = counts.read, min(before, made.source.count())
    if read < least:
        least -= made.source.repeated_rows() + made.source.hidden_rows()
    if read < least:
        raise RefusedError(
            f"{read:,} rows were read, but the server counts {least:,}, so no file was written; "
            "export again"
        )


def _unseen(made: Exporting, brought: set[str]) -> list[str]:
    """Fields that were named and that nobody knows of."""
    declared = {made.profile.key.name, *made.fields.every, *(s.name for s in made.profile.scalars)}
    return [name for name in made.request.fields or () if name not in declared | brought]


def _chosen(page: RowPage, made: Exporting) -> RowPage:
    """Only rows that are wanted, and that have a number in the table if there are such."""
    takes, labels = made.request.takes, page.labels["id"]
    keep = [i for i, label in enumerate(labels) if takes(label)]
    if made.places is not None and made.places.numbered:
        there = made.places.has(page.keys)
        keep = [i for i in keep if there[i]]
    if len(keep) == len(page):
        return page
    return RowPage(
        page.keys[keep],
        {name: [values[i] for i in keep] for name, values in page.values.items()},
        [page.rest[i] for i in keep],
        {name: [values[i] for i in keep] for name, values in page.labels.items()},
        None if page.vectors is None else page.vectors[keep],
        None if page.present is None else page.present[keep],
    )


class _Batches:
    """Batches of the table, once for each time that somebody goes over them."""

    def __init__(self, made: Exporting, pages: Iterable[RowPage], counts: _Counts) -> None:
        self._made = made
        self._pages = pages
        self._counts = counts
        self._taken = {c.name for c in _shape(made).tail}

    def __iter__(self) -> Iterator[RowBatch]:
        made, counts = self._made, self._counts
        counts.labelled = counts.noise = counts.placed = 0
        places = made.places
        if places is not None and places.numbered:
            places = places.in_order_of(page.keys for page in self._pages)
        for page in self._pages:
            labels = page.labels["id"]
            counts.labelled += sum(label is not None for label in labels)
            counts.noise += labels.count(NOISE)
            columns = dict(self._columns(page, places))
            x = columns.get(_place_names(made)[0], ())
            counts.placed += sum(value is not None for value in x)
            self._refuse_taken(page)
            yield RowBatch(columns, page.rest)

    def _columns(self, page: RowPage, places: Places | None) -> Iterator[tuple[str, Sequence[Any]]]:
        made = self._made
        yield made.profile.key.name, page.keys.tolist()
        yield from page.values.items()
        for which in LABELS:
            yield made.fields.name(which), page.labels[which.suffix]
        names, labels = made.names, page.labels["id"]
        if names is not None:
            yield f"{made.fields.prefix}{NAME}", [names.get(label) for label in labels]
        if places is not None:
            yield from zip(_place_names(made), places.of(page.keys), strict=True)
            if places.numbered:
                yield places.numbered, places.near(page.keys)
        if page.vectors is not None and page.present is not None:
            pairs = zip(page.vectors, page.present, strict=True)
            yield self._made.source.vector.name, [row if there else None for row, there in pairs]

    def _refuse_taken(self, page: RowPage) -> None:
        for row in page.rest:
            for name in row.keys() & self._taken:
                raise _taken(name)


def _taken(name: str) -> UsageError:
    return UsageError(
        f"rows have a field {name!r}, which is also what a column of the export is called; name "
        "the fields that you want: --field NAME"
    )


def _place_names(made: Exporting) -> tuple[str, str]:
    if made.places is not None and made.places.names:
        return made.places.names
    return f"{made.fields.prefix}{X}", f"{made.fields.prefix}{Y}"


def _shape(made: Exporting) -> TableShape:
    profile, request = made.profile, made.request
    key = Column(profile.key.name, "INT64" if profile.key.type == "INT64" else "TEXT")
    own = {profile.key.name, *made.fields.every}
    declared = [
        Column(scalar.name, KINDS.get(scalar.type))
        for scalar in profile.scalars
        if scalar.name not in own and (request.fields is None or scalar.name in request.fields)
    ]
    tail = [_label_column(made.fields, which) for which in LABELS]
    if made.names is not None:
        tail.append(Column(f"{made.fields.prefix}{NAME}", "TEXT"))
    if made.places is not None:
        tail += [Column(name, "FLOAT") for name in _place_names(made)]
        if made.places.numbered:
            tail.append(Column(made.places.numbered, "NEAR"))
    if request.vectors:
        vector = made.source.vector
        tail.append(Column(vector.name, "VECTOR", dim=vector.dim))
    names = {column.name for column in tail}
    for column in declared:
        if column.name in names:
            raise _taken(column.name)
    return TableShape((key, *declared), tuple(tail))


def _label_column(fields: LabelFields, which: LabelField) -> Column:
    kind: Kind = "TEXT" if which.type == "VARCHAR" else which.type
    return Column(fields.name(which), kind, always=not which.optional)
