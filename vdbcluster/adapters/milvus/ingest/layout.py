"""The fields of a collection, as somebody who fills it has to know them.

In: what ``describe_collection`` says. Out: ``Layout``. Promise: pure; nothing is asked of a server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from vdbcluster.adapters.milvus.writeback.fields import type_name
from vdbcluster.model.collection import KeyField, KeyType, VectorField

FILLED = ("FLOAT_VECTOR", "FLOAT16_VECTOR", "BFLOAT16_VECTOR")
"""Vector fields that embeddings can be put into."""


@dataclass(frozen=True, slots=True)
class Column:
    """A scalar column. ``required``: a new row cannot do without (no null, no default value).

    ``element``, ``capacity``: type and greatest number of the elements of an ARRAY; ``max_length``
    is that of its texts then.
    """

    name: str
    type: str
    nullable: bool = False
    required: bool = True
    max_length: int | None = None
    element: str = ""
    capacity: int | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """``columns``: scalar columns that rows are to bring, without the key and computed ones.

    ``computed``: fields that the server makes itself, by the kind of the function that does.
    """

    key: KeyField
    vectors: tuple[VectorField, ...]
    columns: Mapping[str, Column]
    dynamic: bool
    computed: Mapping[str, str]

    def vector(self, name: str) -> VectorField | None:
        return next((field for field in self.vectors if field.name == name), None)


def read_layout(described: Mapping[str, Any]) -> Layout:
    """The layout of an existing collection."""
    fields = described["fields"]
    computed = _computed(described)
    scalars = [f for f in fields if not f.get("is_primary") and not _is_vector(f)]
    return Layout(
        key=_key(next(f for f in fields if f.get("is_primary")), bool(described.get("auto_id"))),
        vectors=tuple(_vector(f) for f in fields if _is_vector(f)),
        columns={f["name"]: _column(f) for f in scalars if f["name"] not in computed},
        dynamic=bool(described.get("enable_dynamic_field")),
        computed=computed,
    )


def _is_vector(field: Mapping[str, Any]) -> bool:
    return type_name(field).endswith("_VECTOR")


def _key(field: Mapping[str, Any], auto_id: bool) -> KeyField:
    return KeyField(
        name=field["name"],
        type=cast("KeyType", type_name(field)),
        auto_id=auto_id or bool(field.get("auto_id")),
        max_length=_number(field, "max_length"),
    )


def _vector(field: Mapping[str, Any]) -> VectorField:
    return VectorField(
        name=field["name"],
        type=type_name(field),
        dim=int(field["params"].get("dim", 0)),
        metric=None,
        index=None,
        nullable=bool(field.get("nullable")),
    )


def _column(field: Mapping[str, Any]) -> Column:
    nullable = bool(field.get("nullable"))
    return Column(
        name=field["name"],
        type=type_name(field),
        nullable=nullable,
        required=not nullable and field.get("default_value") is None,
        max_length=_number(field, "max_length"),
        element=type_name({"type": field["element_type"]}) if "element_type" in field else "",
        capacity=_number(field, "max_capacity"),
    )


def _number(field: Mapping[str, Any], name: str) -> int | None:
    number = field["params"].get(name)
    return int(number) if number else None


def _computed(described: Mapping[str, Any]) -> dict[str, str]:
    """Output fields of functions, by kind: BM25, TEXTEMBEDDING, ..."""
    return {
        name: type_name(function)
        for function in described.get("functions") or ()
        for name in function.get("output_field_names") or ()
    }
