"""Which way of writing labels back a collection gets, and why.

In: an open connection, the selection that is read, ``LabelSettings``. Out: a ``LabelSink`` whose
``way`` says in one sentence why it was chosen.
Promise: the best way that is safe, decided by what the server was seen to do; with ``dry_run``
nothing is written anywhere, and the reason says that it is an expectation.

    sink = choose_sink(connection, Selection("docs"), LabelSettings())
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.errors import backend_errors
from vdbcluster.adapters.milvus.profile import profile as read_profile
from vdbcluster.adapters.milvus.source import Selection
from vdbcluster.adapters.milvus.writeback.capabilities import (
    Capabilities,
    expect,
    probe,
    raise_if_final,
)
from vdbcluster.adapters.milvus.writeback.fields import Schema, read_schema
from vdbcluster.adapters.milvus.writeback.guarded import GuardedSink
from vdbcluster.adapters.milvus.writeback.held import (
    outdated_side,
    refuse_foreign_keys,
    stale_in_rows,
    stale_in_side,
)
from vdbcluster.adapters.milvus.writeback.inplace import InPlace, InPlaceSink
from vdbcluster.adapters.milvus.writeback.partial import AddFieldSink, PartialSink
from vdbcluster.adapters.milvus.writeback.side import SIDE_ROWS, Side, SideSink, side_name
from vdbcluster.adapters.milvus.writeback.target import Target
from vdbcluster.errors import RefusedError
from vdbcluster.model.labels import LabelFields, WayName, WriteWay
from vdbcluster.ports import LabelSink

WayChoice = Literal[
    "auto", "add-field", "partial-upsert", "lite-merge", "guarded-upsert", "side-collection"
]
IN_PLACE_ROWS = 1000
"""Rows in a call that writes into the rows themselves: what it reads just before stays fresh."""
_LOSES_KEY = "the server does not keep an automatic key when a row is upserted"


@dataclass(frozen=True, slots=True)
class LabelSettings:
    """``way``: ``auto``, or the one way that may be used.

    ``allow_full_upsert``: the user accepts the window in which the guarded way undoes an update.
    ``adopt``: values under our names that no run has left may be overwritten.
    """

    fields: LabelFields = field(default_factory=LabelFields)
    way: WayChoice = "auto"
    allow_full_upsert: bool = False
    adopt: bool = False
    batch_rows: int | None = None


@dataclass(frozen=True, slots=True)
class _Facts:
    milvus: MilvusConnection
    target: Target
    schema: Schema
    server: Capabilities
    settings: LabelSettings
    key_in_use: bool


def choose_sink(
    milvus: MilvusConnection,
    selection: Selection,
    settings: LabelSettings,
    *,
    dry_run: bool = False,
) -> LabelSink:
    """The sink for a selection. ``RefusedError`` if no way, or not the one asked for, is safe.

    So is a side collection of an earlier version, which cannot take these labels; with ``dry_run``
    its labels can be read, and ``way.stale`` says so.

    The collection is resolved here once: if ``selection`` names an alias, writes stay with the
    collection that is behind it now.
    """
    facts = _look(milvus, selection, settings, dry_run)
    objections = {name: objection(facts) for name, objection in _OBJECTIONS.items()}
    name = _pick(objections, settings)
    reason = _reason(name, objections, facts)
    selection = replace(selection, collection=facts.target.name)
    if name != "side-collection" and facts.key_in_use and not settings.adopt:
        refuse_foreign_keys(facts.target, selection, facts.schema)
    return _build(name, reason, facts, selection, dry_run)


def sink_of_way(
    milvus: MilvusConnection, selection: Selection, settings: LabelSettings, way: WriteWay
) -> LabelSink:
    """Another sink of a way that ``choose_sink`` has found, after that one was prepared.

    For processes that write beside the one which chose: nothing is tried, so nothing is written.
    """
    facts = _look(milvus, selection, settings, dry_run=True)
    selection = replace(selection, collection=facts.target.name)
    return _build(way.name, way.reason, facts, selection, dry_run=True)


def _look(
    milvus: MilvusConnection, selection: Selection, settings: LabelSettings, dry_run: bool
) -> _Facts:
    found = read_profile(milvus, selection.collection, exact=False)
    target = Target(milvus, found)
    described = milvus.ask(
        f"describing {found.name!r}",
        lambda client, limit: client.describe_collection(found.name, timeout=limit),
    )
    schema = read_schema(found, described, settings.fields)
    needless = dry_run or settings.way == "side-collection"
    whole_rows = settings.allow_full_upsert or settings.way == "guarded-upsert"
    server = expect(milvus) if needless else probe(milvus, found.key, found.dynamic, whole_rows)
    return _Facts(milvus, target, schema, server, settings, _key_in_use(target, schema))


def _key_in_use(target: Target, schema: Schema) -> bool:
    """Whether rows may hold a label field as a dynamic key, which must not become a column then."""
    if not schema.loose:
        return False
    try:
        found = target.milvus.raw(
            lambda client, limit: client.query(
                target.name,
                filter=" or ".join(f"(exists {name})" for name in schema.loose),
                output_fields=[target.key],
                limit=1,
                timeout=limit,
            )
        )
    except backend_errors() as error:
        raise_if_final(error)
        return True
    return len(found) > 0


def _in_place(facts: _Facts) -> str:
    if not facts.schema.required:
        return (
            "no field beside the key is required, so a write to a row deleted meanwhile would "
            "bring it back empty"
        )
    if facts.schema.recomputed:
        return "the server computes fields by a model, and every write would compute them anew"
    return ""


def _against_merging(facts: _Facts) -> str:
    if reason := _in_place(facts):
        return reason
    if facts.server.merges:
        return ""
    if facts.target.profile.key.auto_id:
        return _LOSES_KEY
    return "the server cannot update single fields of a row"


def _against_adding(facts: _Facts) -> str:
    if reason := _against_merging(facts):
        return reason
    if not facts.schema.missing:
        # Asked for by name, as it will be again on a second run, it has nothing left to add.
        asked = facts.settings.way == "add-field"
        return "" if asked else "the label fields are there already"
    if facts.key_in_use:
        return "rows hold labels as dynamic keys already"
    return "" if facts.server.add_field else "the server cannot add fields to a collection"


def _against_partial(facts: _Facts) -> str:
    if reason := _against_merging(facts):
        return reason
    if facts.milvus.is_lite:
        return "this is Milvus Lite, whose upsert merges"
    return _no_room(facts)


def _against_lite(facts: _Facts) -> str:
    if not facts.milvus.is_lite:
        return "this is not Milvus Lite"
    return _against_merging(facts) or _no_room(facts)


def _against_guarded(facts: _Facts) -> str:
    schema, key = facts.schema, facts.target.profile.key
    if reason := _in_place(facts) or _no_room(facts):
        return reason
    if key.auto_id:
        return _LOSES_KEY
    if schema.computed:
        return "the server computes fields, which cannot be sent back"
    if schema.unsendable:
        return f"the field {schema.unsendable[0]!r} cannot be sent back as it was read"
    if not facts.settings.allow_full_upsert:
        return "rewriting whole rows was not allowed (--allow-full-upsert)"
    return "" if facts.server.replaces else _LOSES_KEY


def _no_room(facts: _Facts) -> str:
    if facts.schema.holds_labels:
        return ""
    return f"there are no dynamic fields and no field {facts.schema.missing[0]!r}"


_OBJECTIONS: dict[WayName, Callable[[_Facts], str]] = {
    "add-field": _against_adding,
    "partial-upsert": _against_partial,
    "lite-merge": _against_lite,
    "guarded-upsert": _against_guarded,
    "side-collection": lambda _: "",
}
"""Best first; what speaks against each way, empty if nothing does."""


def _pick(objections: dict[WayName, str], settings: LabelSettings) -> WayName:
    if settings.way == "auto":
        return next(name for name, objection in objections.items() if not objection)
    if objections[settings.way]:
        raise RefusedError(
            f"the write way {settings.way} cannot be used: {objections[settings.way]}; "
            "use --write-way auto"
        )
    return settings.way


def _reason(name: WayName, objections: dict[WayName, str], facts: _Facts) -> str:
    if facts.settings.way != "auto":
        reason = "asked for with --write-way"
    elif name == "add-field":
        reason = "the server can add nullable fields and update them alone"
    elif name == "partial-upsert":
        reason = "the server updates single fields of a row"
    elif name == "lite-merge":
        reason = "Milvus Lite merges an upsert into the row"
    else:
        merging = _against_merging(facts) or _no_room(facts)
        guarded = objections["guarded-upsert"]
        reason = merging
        if name == "side-collection" and guarded not in ("", merging):
            reason = f"{merging}, and {guarded}"
    if facts.server.proven or facts.settings.way == "side-collection":
        return reason
    return f"{reason} (expected of {facts.milvus.server.version}; tried before writing)"


def _build(
    name: WayName, reason: str, facts: _Facts, selection: Selection, dry_run: bool
) -> LabelSink:
    settings, target = facts.settings, facts.target
    side = side_name(target.name, settings.fields)
    if name == "side-collection":
        outdated = outdated_side(target, side, settings.fields)
        if outdated and not dry_run:
            raise RefusedError(outdated)
        stale = outdated or stale_in_rows(target, facts.schema, side)
        way = WriteWay(name, reason, side, stale)
        batch_rows = settings.batch_rows or SIDE_ROWS
        return SideSink(Side(target, selection, settings.fields, way, batch_rows))
    kinds: dict[WayName, type[InPlaceSink]] = {
        "add-field": AddFieldSink,
        "guarded-upsert": GuardedSink,
    }
    setup = InPlace(
        target=target,
        selection=selection,
        schema=facts.schema,
        way=WriteWay(name, reason, target.name, stale_in_side(target, side)),
        batch_rows=settings.batch_rows or IN_PLACE_ROWS,
        unique_keys=facts.server.unique_keys,
        index_kind=facts.server.index_kind,
        adopt=settings.adopt,
    )
    return kinds.get(name, PartialSink)(setup)
