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
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.labels import LabelFields

RUN_ID_LENGTH = 128
MIN_RUN_ID_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Schema:
    """``declared``: our fields that are columns; ``missing``: those that are not.

    ``required``: some field beside the key must be given on insert, so that writing labels to a
    row that was deleted meanwhile fails, rather than making a row of nothing but labels.
    ``computed``: the server makes some field from others (a function); ``recomputed``: and may not
    make the same from the same (an embedding model), as BM25 would.
    ``unsendable``: fields whose values cannot be sent back as they were read.
    """

    fields: LabelFields
    declared: tuple[str, ...]
    missing: tuple[str, ...]
    dynamic: bool
    required: bool
    computed: bool
    recomputed: bool
    unsendable: tuple[str, ...]

    @property
    def holds_labels(self) -> bool:
        """Whether labels can be stored in the rows without changing the schema."""
        return self.dynamic or not self.missing


def read_schema(
    profile: CollectionProfile, description: Mapping[str, Any], fields: LabelFields
) -> Schema:
    """Look at the schema; ``RefusedError`` if a field of another kind has a name of ours."""
    _check_names(profile, fields)
    declared = tuple(name for name in fields.names if profile.scalar(name))
    functions = description.get("functions") or ()
    described = [f for f in description["fields"] if f["name"] not in fields.names]
    return Schema(
        fields=fields,
        declared=declared,
        missing=tuple(name for name in fields.names if name not in declared),
        dynamic=profile.dynamic,
        required=any(_is_required(f) for f in described),
        computed=bool(functions),
        recomputed=any(type_name(f) != "BM25" for f in functions),
        unsendable=tuple(f["name"] for f in described if type_name(f) not in RESENDABLE),
    )


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


def _check_names(profile: CollectionProfile, fields: LabelFields) -> None:
    wanted = {
        fields.cluster_id: ("INT64",),
        fields.probability: ("FLOAT", "DOUBLE"),
        fields.outlier_score: ("FLOAT", "DOUBLE"),
        fields.run_id: ("VARCHAR",),
    }
    taken = {profile.key.name: "the primary key", **{v.name: "a vector" for v in profile.vectors}}
    for name, types in wanted.items():
        scalar = profile.scalar(name)
        use = taken.get(name)
        if scalar is not None and (scalar.partition_key or name == profile.partition_key):
            use = "the partition key"
        elif scalar is not None and scalar.type not in types:
            use = f"of type {scalar.type}, not {' or '.join(types)}"
        elif scalar is not None and 0 < (scalar.max_length or 0) < MIN_RUN_ID_LENGTH:
            use = f"too short: {scalar.max_length} characters of {MIN_RUN_ID_LENGTH}"
        if use:
            raise RefusedError(
                f"the field {name!r} of {profile.name!r} is {use}, so labels cannot be stored "
                "there; choose other names with --label-prefix"
            )
