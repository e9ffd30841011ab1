"""The columns of a side collection.

In: the client, the collection whose labels it holds, ``LabelFields``. Out: a schema.
Promise: columns for all our fields, the optional ones too: the collection is ours alone, old
servers cannot add a column later, and one that holds the empty text costs next to nothing.
"""

from __future__ import annotations

from typing import Any

from vdbcluster.adapters.milvus.writeback.fields import length
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.labels import LABEL_FIELDS, LONGEST_KEY, LabelFields


def side_schema(
    client: Any, profile: CollectionProfile, fields: LabelFields, placeholder: str
) -> Any:
    """Keyed as ``profile`` is; ``placeholder``: the vector field that servers demand."""
    from pymilvus import DataType

    key = profile.key
    schema = client.create_schema(
        auto_id=False,
        enable_dynamic_field=False,
        description=f"Labels of the rows of {profile.name}, by vdbcluster",
    )
    room = {"max_length": key.max_length or LONGEST_KEY} if key.type == "VARCHAR" else {}
    schema.add_field(key.name, DataType[key.type], is_primary=True, **room)
    for which in LABEL_FIELDS:
        schema.add_field(fields.name(which), DataType[which.type], **length(which, key))
    schema.add_field(placeholder, DataType.FLOAT_VECTOR, dim=2)
    return schema
