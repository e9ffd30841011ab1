"""Why a selection has no row, though its collection has some.

In: a connection, the profile of the collection, filter and partitions that select nothing. Out: one
line. Promise: only reads, and little: a count, and one row for each name that the schema does not
know, for a misspelt name is no error where dynamic fields are on.

    why_empty(connection, profile, "yaer > 2000")
        -> "no row of 'docs' matches the filter 'yaer > 2000'; no row has a field 'yaer'"
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.errors import backend_errors
from vdbcluster.adapters.milvus.profile import count_rows
from vdbcluster.model.collection import CollectionProfile

_TEXTS = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""", re.DOTALL)
_NAMES = re.compile(r"(?<![\w$.{])[A-Za-z_]\w*(?!\w|\s*\()")
_WORDS = frozenset({"and", "or", "not", "in", "like", "exists", "is", "null", "true", "false"})


def why_empty(
    connection: MilvusConnection,
    profile: CollectionProfile,
    where: str,
    partitions: Sequence[str] = (),
) -> str:
    """The reason why nothing is selected; empty if the whole collection is."""
    if not count_rows(connection, profile.name):
        return ""
    within = f" in {', '.join(partitions)}" if partitions else ""
    if not where:
        return f"no row of {profile.name!r} is{within}, so there is nothing to cluster"
    unseen = [name for name in unknown_names(profile, where) if _unseen(connection, profile, name)]
    told = f"no row of {profile.name!r}{within} matches the filter {where!r}"
    return f"{told}; no row has a field {' or '.join(map(repr, unseen))}" if unseen else told


def unknown_names(profile: CollectionProfile, where: str) -> Iterator[str]:
    """Names in a filter that no declared field has, each once; what stands in quotes is no name."""
    known = {profile.key.name, *(f.name for f in profile.scalars)}
    known |= {vector.name for vector in profile.vectors}
    for name in dict.fromkeys(_NAMES.findall(_TEXTS.sub('""', where))):
        if name.lower() not in _WORDS and name not in known:
            yield name


def _unseen(connection: MilvusConnection, profile: CollectionProfile, name: str) -> bool:
    """Whether no row has the dynamic key; False where the server cannot be asked."""
    try:
        found = connection.raw(
            lambda client, limit: client.query(
                profile.name,
                filter=f"exists {name}",
                output_fields=[profile.key.name],
                limit=1,
                timeout=limit,
            )
        )
    except backend_errors():
        return False
    return not found
