"""What the rows and the side collection hold under our names before a run writes.

In: the target, the selection, the schema. Out: a refusal, or a line for the user. Promise: one
short query each; where the server does not answer it nothing is said, and what matters is found
later: whoever reads the stored labels refuses foreign values too, after the clustering.
"""

from __future__ import annotations

from typing import Any

from vdbcluster.adapters.milvus.decode import keys_array
from vdbcluster.adapters.milvus.errors import backend_errors
from vdbcluster.adapters.milvus.expressions import both
from vdbcluster.adapters.milvus.source import ScalarPage, Selection
from vdbcluster.adapters.milvus.writeback.fields import Schema
from vdbcluster.adapters.milvus.writeback.own import labels_of
from vdbcluster.adapters.milvus.writeback.rows import refuse_foreign
from vdbcluster.adapters.milvus.writeback.target import Target
from vdbcluster.model.labels import LabelFields

LOOKED_AT = 100
"""Rows that may hold a foreign value; the first tells as a rule, but null is none."""


def refuse_foreign_keys(target: Target, selection: Selection, schema: Schema) -> None:
    """``RefusedError`` if selected rows hold dynamic keys of our names, but no run's id."""
    fields = schema.fields
    names = [name for name in schema.loose if name != fields.run_id]
    if not names or fields.run_id in schema.declared:
        return
    present = " or ".join(f"(exists {name})" for name in names)
    unlabelled = f"({present}) and (not (exists {fields.run_id}))"
    rows = _query(
        target,
        both(unlabelled, selection.where),
        [target.key, *schema.readable],
        selection.partitions,
        LOOKED_AT,
    )
    if rows:
        keys = keys_array([row[target.key] for row in rows], target.profile.key)
        values = {name: [row.get(name) for row in rows] for name in schema.readable}
        refuse_foreign(ScalarPage(keys, values), fields, target.name)


def stale_in_side(target: Target, side: str) -> str:
    """A line about labels in the side collection, for a run that writes into the rows."""
    if not _side_fields(target, side):
        return ""
    return (
        f"{side!r} keeps labels of earlier runs, and this one writes into the rows of "
        f"{target.name!r}; what it keeps is stale, drop it: client.drop_collection({side!r})"
    )


def outdated_side(target: Target, side: str, fields: LabelFields) -> str:
    """A line about a side collection that an earlier version has made, for a run that needs it.

    Optional fields that the run does not want may be lacking.
    """
    found = _side_fields(target, side)
    lacking = [name for name in fields.names if name not in found]
    if not found or not lacking:
        return ""
    return (
        f"{side!r} was made by an earlier version of vdbcluster and has no field {lacking[0]!r}; "
        f"drop it, client.drop_collection({side!r}), and run again"
    )


def _side_fields(target: Target, side: str) -> list[str]:
    """Names of the fields of the side collection; none if there is none for this collection."""
    try:
        described = target.milvus.raw(
            lambda client, limit: (
                client.describe_collection(side, timeout=limit)["fields"]
                if client.has_collection(side, timeout=limit)
                else []
            )
        )
    except backend_errors():
        return []
    found = [str(field["name"]) for field in described]
    return found if labels_of(target.profile.identity) in found else []


def stale_in_rows(target: Target, schema: Schema, side: str) -> str:
    """A line about labels in the rows, for a run that writes to the side collection."""
    run_id = schema.fields.run_id
    declared = run_id in schema.declared
    if run_id not in schema.readable:
        return ""
    held = [name for name in schema.fields.names if name in schema.readable]
    where = f'{run_id} != ""' if declared else f"exists {run_id}"
    if not _query(target, where, [target.key], (), 1):
        return ""
    return (
        f"rows of {target.name!r} hold labels of earlier runs in {', '.join(held)}, "
        f"and this one writes to {side!r}; what the rows hold is stale, upsert them without it"
    )


def _query(
    target: Target, where: str, fields: list[str], partitions: tuple[str, ...], rows: int
) -> list[dict[str, Any]]:
    """Some rows that satisfy ``where``; none if the server does not understand it."""
    try:
        found: list[dict[str, Any]] = target.milvus.raw(
            lambda client, limit: client.query(
                target.name,
                filter=where,
                output_fields=fields,
                partition_names=list(partitions) or None,
                limit=rows,
                timeout=limit,
            )
        )
    except backend_errors():
        return []
    return found
