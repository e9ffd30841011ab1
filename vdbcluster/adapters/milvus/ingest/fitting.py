"""A shape made to fit an existing collection, or every reason why it cannot.

In: ``RecordShape`` as the source suggests it, ``Layout`` of the collection. Out: ``Fitted``: the
shape with the collection's names, types and lengths, and notes on what was not taken literally.
Promise: pure. No field is dropped: what has no column of its own goes to the dynamic field, and
where there is none, that is a reason; reasons are collected, not told one at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vdbcluster.adapters.milvus.ingest.layout import FILLED, Column, Layout
from vdbcluster.errors import UsageError
from vdbcluster.model.collection import VectorField
from vdbcluster.model.records import MAX_VARCHAR, FieldSpec, FieldType, RecordShape

_TAKES: dict[str, tuple[FieldType, ...]] = {
    "BOOL": ("BOOL",),
    "INT8": ("INT64",),
    "INT16": ("INT64",),
    "INT32": ("INT64",),
    "INT64": ("INT64",),
    "FLOAT": ("DOUBLE", "INT64"),
    "DOUBLE": ("DOUBLE", "INT64"),
    "VARCHAR": ("VARCHAR",),
    "JSON": ("JSON", "VARCHAR", "INT64", "DOUBLE", "BOOL"),
    "ARRAY": ("JSON",),
}
"""Which fields of a source a column of this type can take."""

_AS: dict[str, FieldType] = {
    "BOOL": "BOOL", "INT8": "INT64", "INT16": "INT64", "INT32": "INT64", "INT64": "INT64",
    "FLOAT": "DOUBLE", "DOUBLE": "DOUBLE", "VARCHAR": "VARCHAR", "ARRAY": "JSON",
}  # fmt: skip
"""What a value becomes for such a column; for JSON it stays what it is."""

_BLANKS: dict[str, Any] = {"INT64": -1, "FLOAT": 0.0, "DOUBLE": 0.0, "VARCHAR": ""}
"""What label columns hold that cannot be null, of rows that have no label yet."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """``vector``: the field that embeddings go to. ``blanks``: see ``rows.Filling``."""

    shape: RecordShape
    vector: VectorField
    notes: tuple[str, ...]
    blanks: Mapping[str, Any]


def fit_existing(
    name: str, shape: RecordShape, layout: Layout, labels: Sequence[str] = ()
) -> Fitted:
    """Fit ``shape`` to the collection ``name``; ``UsageError`` with all reasons why it does not.

    ``labels``: names of the fields that ``vdbcluster run`` fills.
    """
    work = _Fitting(shape, layout, labels)
    fitted = work.run()
    if work.reasons or fitted is None:
        raise UsageError(
            f"the collection {name!r} exists and does not fit: {'; '.join(work.reasons)}. "
            "Mend that, name another collection, or drop this one"
        )
    return fitted


class _Fitting:
    """One pass over the fields, which collects what it finds."""

    def __init__(self, shape: RecordShape, layout: Layout, labels: Sequence[str]) -> None:
        self._shape = shape
        self._layout = layout
        self._labels = labels
        self._blanks: dict[str, Any] = {}
        self._loose: list[FieldSpec] = []
        self._moved: list[FieldSpec] = []
        self.reasons: list[str] = []
        self.notes: list[str] = []

    def run(self) -> Fitted | None:
        key = self._key()
        vector = self._vector()
        text = self._text()
        fields = tuple(self._fields())
        self._bring_required({spec.name for spec in fields} | ({text.name} if text else set()))
        if self._shape.rest == "dynamic" and not self._layout.dynamic:
            self.reasons.append(
                "it has no dynamic field for the source's other fields (--rest drop leaves them "
                "out)"
            )
        if vector is None:
            return None
        shape = replace(
            self._shape,
            key=key,
            text=text,
            fields=fields,
            loose=(*self._loose, *self._moved),
            vector_name=vector.name,
        )
        return Fitted(shape, vector, tuple(self.notes), self._blanks)

    def _key(self) -> FieldSpec:
        wanted, key = self._shape.key, self._layout.key
        if key.auto_id and not self._shape.auto_id:
            self.reasons.append(
                f"its key {key.name!r} is made by the server (auto id), so that the same rows "
                "again would be added again (--auto-id accepts that)"
            )
        if self._shape.auto_id and not key.auto_id:
            self.reasons.append(f"its key {key.name!r} is not made by the server (no --auto-id)")
        if key.type == "INT64" and wanted.type == "VARCHAR" and not key.auto_id:
            source = f"the field {self._shape.id_field!r} is text" if self._shape.id_field else (
                "keys made from the content are text"
            )  # fmt: skip
            self.reasons.append(
                f"its key {key.name!r} is INT64, but {source} (--id-field names whole numbers)"
            )
        if key.name != wanted.name:
            self.notes.append(f"the key goes to {key.name!r}, the collection's primary key")
        return FieldSpec(key.name, key.type, key.max_length or wanted.max_length)

    def _vector(self) -> VectorField | None:
        wanted = self._shape.vector_name
        found = self._layout.vector(wanted) or self._only_vector()
        if found is None:
            there = ", ".join(f"{v.name} ({v.type})" for v in self._layout.vectors) or "none"
            self.reasons.append(
                f"there is no vector field {wanted!r}; its vector fields: {there} "
                "(the setting milvus.vector_field names one)"
            )
            return None
        if found.name in self._layout.computed:
            self.reasons.append(
                f"the server computes {found.name!r} itself "
                f"({self._layout.computed[found.name]} function), so no vectors can be sent; "
                "rows of such a collection are inserted without vectors, by the client"
            )
        elif found.type not in FILLED:
            self.reasons.append(
                f"its vector field {found.name!r} is {found.type}, not {' or '.join(FILLED)}"
            )
        if found.name != wanted:
            self.notes.append(f"vectors go to {found.name!r}, the collection's vector field")
        for other in self._layout.vectors:
            optional = other.nullable or other.name in self._layout.computed
            if other is not found and not optional:
                self.reasons.append(
                    f"every row must bring a second vector {other.name!r} ({other.type}), which "
                    "ingest cannot"
                )
        return found

    def _only_vector(self) -> VectorField | None:
        usable = [v for v in self._layout.vectors if v.type in FILLED]
        return usable[0] if len(usable) == 1 else None

    def _text(self) -> FieldSpec | None:
        text = self._shape.text
        if text is None:
            return None
        column = self._layout.columns.get(text.name)
        if column is None:
            return self._text_without_column(text)
        if column.type != "VARCHAR":
            self.reasons.append(f"field {text.name!r} is {column.type}, not VARCHAR for the text")
        return FieldSpec(text.name, "VARCHAR", column.max_length or MAX_VARCHAR)

    def _text_without_column(self, text: FieldSpec) -> FieldSpec:
        if self._taken(text.name):
            return text
        if self._layout.dynamic:
            self.notes.append(f"the text goes into the dynamic field, as {text.name!r}")
        else:
            there = [name for name, c in self._layout.columns.items() if c.type == "VARCHAR"]
            self.reasons.append(
                f"there is no field {text.name!r} for the text; its VARCHAR fields: "
                f"{', '.join(there) or 'none'}"
            )
        return text

    def _fields(self) -> Iterator[FieldSpec]:
        """Fields with a column; those without one are put among the loose ones."""
        for spec in self._shape.fields:
            column = self._layout.columns.get(spec.name)
            if column is not None:
                yield self._into(spec, column)
            elif not self._taken(spec.name):
                self._without_column(spec)
        for spec in self._shape.loose:
            column = self._layout.columns.get(spec.name)
            if column is not None:
                yield self._into(spec, column)
            elif not self._taken(spec.name):
                self._loose.append(spec)

    def _into(self, spec: FieldSpec, column: Column) -> FieldSpec:
        if column.type not in _TAKES:
            self.reasons.append(f"field {spec.name!r} is {column.type}, which ingest cannot fill")
        elif spec.type not in _TAKES[column.type]:
            self.reasons.append(
                f"field {spec.name!r} is {column.type}, the source's is {spec.type} "
                f"(--field {spec.name}:{_AS[column.type]} casts it)"
            )
        if spec.nullable and not column.nullable:
            self.notes.append(
                f"rows without {spec.name!r} cannot be taken: its column accepts no null"
            )
        return FieldSpec(
            name=spec.name,
            type=_AS.get(column.type, spec.type),
            max_length=column.max_length or MAX_VARCHAR,
            nullable=column.nullable,
        )

    def _without_column(self, spec: FieldSpec) -> None:
        if self._layout.dynamic:
            self.notes.append(f"field {spec.name!r} has no column: it goes to the dynamic field")
            self._moved.append(spec)
        else:
            self.reasons.append(f"there is no field {spec.name!r} ({spec.type}), nor a dynamic one")

    def _taken(self, name: str) -> bool:
        """Whether a field cannot be called so, because that is the key, a vector or computed."""
        uses = {self._layout.key.name: "the primary key"}
        uses |= {vector.name: "a vector" for vector in self._layout.vectors}
        uses |= dict.fromkeys(self._layout.computed, "computed by the server")
        if name in uses:
            self.reasons.append(f"field {name!r} is {uses[name]} there; rename it in the source")
        return name in uses

    def _bring_required(self, brought: set[str]) -> None:
        for column in self._layout.columns.values():
            if not column.required or column.name in brought:
                continue
            if column.name in self._labels and column.type in _BLANKS:
                self._blanks[column.name] = _BLANKS[column.type]
                continue
            if column.type in _TAKES:
                how = f"--field {column.name}:{_AS.get(column.type, 'JSON')}, if the source has it"
            else:
                how = "ingest cannot fill such fields"
            self.reasons.append(
                f"every row must bring the field {column.name!r} ({column.type}): {how}"
            )
