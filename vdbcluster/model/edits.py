"""What people say of clusters: the fields of a catalogue that are theirs, and how these stay.

In: two states of a catalogue between which people edited it, and the one that a run made of the
first. Out: that with their edits. Promise: an edit is carried over field by field, so that a name
given while a run was under way stays beside all that the run found; nothing else is changed.

    edited(made, since=before, now=held)
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from vdbcluster.model.catalogue import Catalogue, CatalogueEntry, json_text

THEIRS = ("name", "description", "keywords", "pinned", "hidden")
"""Fields that people may set; beside these they merge."""


def edited(made: Catalogue, *, since: Catalogue, now: Catalogue) -> Catalogue:
    """``made`` of ``since``, with all that was edited from ``since`` to ``now``.

    Entries that ``made`` lacks are not brought back, and what ``made`` says itself of the state of
    a cluster stands.
    """
    return replace(made, entries=tuple(_edited(entry, since, now) for entry in made.entries))


def _edited(made: CatalogueEntry, since: Catalogue, now: Catalogue) -> CatalogueEntry:
    """``made`` itself where nothing was edited."""
    before, after = since.get(made.id), now.get(made.id)
    if before is None or after is None:
        return made
    changes: dict[str, Any] = {
        name: getattr(after, name)
        for name in THEIRS
        if getattr(before, name) != getattr(after, name)
    }
    merge = (before.state, before.merged_into)
    if (after.state, after.merged_into) != merge == (made.state, made.merged_into):
        changes |= {"state": after.state, "merged_into": after.merged_into, "size": after.size}
    if after.lineage != before.lineage:
        changes["lineage"] = _both(made.lineage, before.lineage, after.lineage)
    return replace(made, **changes) if changes else made


def _both(made: str, before: str, after: str) -> str:
    """The events of ``made``, and those that came to ``before`` otherwise."""
    known, events = json.loads(before), json.loads(after)
    more = events[len(known) :] if events[: len(known)] == known else []
    return json_text([*json.loads(made), *more])
