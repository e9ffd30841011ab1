"""What a collection's schema says about our label fields, and about writing to its rows at all.

In: ``CollectionProfile``, the description that the client gives, ``LabelFields``. Out: ``Schema``.
Promise: a field of the user's that is merely called like one of ours is never written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vdbcluster.adapters.milvus.writeback.payload import RESENDABLE
from vdbcluster.errors import RefusedError
from vdbcluster.model.collection import CollectionProfile, KeyField
from vdbcluster.model.labels import LABEL_FIELDS, LabelField, LabelFields

_TAKEN = {"INT64": ("INT64",), "FLOAT": ("FLOAT", "DOUBLE"), "VARCHAR": ("VARCHAR",)}
"""Types of columns that can hold a label field of a type."""
_EMPTY = {"INT64": -1, "FLOAT": 0.0, "VARCHAR": ""}
"""What stands for no label in a column that cannot be null."""


@dataclass(frozen=True, slots=True)
class Schema:
    """``declared``: our fields that are columns; ``missing``: wanted ones that are not.

    ``loose``: our fields, wanted or not, that rows can hold as dynamic keys.
    ``required``: some field beside the key must be given on insert, so that writing labels to a
    row that was deleted meanwhile fails, rather than making a row of nothing but labels.
    ``computed``: the server makes some field from others (a function); ``recomputed``: and may not
    make the same from the same (an embedding model), as BM25 would.
    ``unsendable``: fields whose values cannot be sent back as they were read.
    ``empty``: for our columns that cannot be null, what they hold in a row without a label.
    """

    fields: LabelFields
    declared: tuple[str, ...]
    missing: tuple[str, ...]
    loose: tuple[str, ...]
    dynamic: bool
    required: bool
    computed: bool
    recomputed: bool
    unsendable: tuple[str, ...]
    empty: Mapping[str, Any]

    @property
    def holds_labels(self) -> bool:
        """Whether labels can be stored in the rows without changing the schema."""
        return self.dynamic or not self.missing

    @property
    def readable(self) -> tuple[str, ...]:
        """Our fields that rows can hold now."""
        return (*self.declared, *self.loose)

    @property
    def labelled_columns(self) -> bool:
        """Whether what tells a labelled row are columns."""
        return {self.fields.cluster_id, self.fields.run_id} <= set(self.declared)


def read_schema(
    profile: CollectionProfile, description: Mapping[str, Any], fields: LabelFields
) -> Schema:
    """Look at the schema; ``RefusedError`` if a field of another kind has a name that is wanted.

    One that has the name of an optional field that is not wanted is the user's, and left alone.
    """
    uses = _uses(profile, fields)
    _check_names(profile, fields, uses)
    ours = tuple(name for name in fields.every if name not in uses)
    declared = tuple(name for name in ours if profile.scalar(name))
    functions = description.get("functions") or ()
    described = [f for f in description["fields"] if f["name"] not in declared]
    return Schema(
        fields=fields,
        declared=declared,
        missing=tuple(name for name in fields.names if name not in declared),
        loose=tuple(name for name in ours if name not in declared) if profile.dynamic else (),
        dynamic=profile.dynamic,
        required=any(_is_required(f) for f in described),
        computed=bool(functions),
        recomputed=any(type_name(f) != "BM25" for f in functions),
        unsendable=tuple(f["name"] for f in described if type_name(f) not in RESENDABLE),
        empty={
            fields.name(which): _EMPTY[which.type]
            for which in LABEL_FIELDS
            for scalar in [profile.scalar(fields.name(which))]
            if scalar is not None and fields.name(which) in declared and not scalar.nullable
        },
    )


def length(which: LabelField, key: KeyField) -> dict[str, int]:
    """What a schema wants to know of a column for the field, beside its type."""
    return {"max_length": which.sized(key).max_length} if which.type == "VARCHAR" else {}


def type_name(described: Mapping[str, Any]) -> str:
    """``INT64`` and the like, for a field or function of a description."""
    kind = described["type"]
    return str(getattr(kind, "name", kind))


def _is_required(described: Mapping[str, Any]) -> bool:
    optional = (
        described.get("is_primary")
        or described.get("nullable")
        or described.get("is_function_output")
        or described.get("default_value") is not None
    )
    return not optional


def _check_names(profile: CollectionProfile, fields: LabelFields, uses: Mapping[str, str]) -> None:
    for name in fields.names:
        if name in uses:
            raise RefusedError(
                f"the field {name!r} of {profile.name!r} is {uses[name]}, so labels cannot be "
                "stored there; choose other names with --label-prefix"
            )


def _uses(profile: CollectionProfile, fields: LabelFields) -> dict[str, str]:
    """What keeps fields of the user's with names of ours from holding labels, by name."""
    found = {fields.name(which): _use(profile, fields.name(which), which) for which in LABEL_FIELDS}
    return {name: use for name, use in found.items() if use}


def _use(profile: CollectionProfile, name: str, which: LabelField) -> str:
    if name == profile.key.name:
        return "the primary key"
    if profile.vector(name) is not None:
        return "a vector"
    scalar = profile.scalar(name)
    if scalar is None:
        return ""
    if scalar.partition_key or name == profile.partition_key:
        return "the partition key"
    if scalar.type not in _TAKEN[which.type]:
        return f"of type {scalar.type}, not {' or '.join(_TAKEN[which.type])}"
    if 0 < (scalar.max_length or 0) < (least := which.sized(profile.key).min_length):
        return f"too short: {scalar.max_length} characters of {least}"
    return ""
