"""What is known of the clusters of a collection, beyond the label of each row.

In: what a run found and what people said about it. Out: ``CatalogueEntry``, one for each cluster
there is or ever was, and ``Catalogue``, all of them as one run left them.
Promise: ids are unique, at least 0 and ascending (noise has no entry); ``fitted`` cuts a text where
a database has no room for it, always at a character, and changes nothing else.

    Catalogue((CatalogueEntry(0, size=12, medoid_key=7, name="shipping"),), run_id, identity)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise
from typing import TypeVar

from vdbcluster.model.arrays import Float32Array

T = TypeVar("T")
RowKey = int | str
"""A primary key of the collection that was clustered: INT64 or VARCHAR."""

NAME_BYTES = 512
DESCRIPTION_BYTES = 8_192
KEYWORD_BYTES = 256
KEYWORDS_BYTES = 8_192
"""Of all keywords together, as JSON."""
LINEAGE_BYTES = 65_535
EXEMPLARS_BYTES = 65_535
RUN_ID_BYTES = 64


class ClusterState(StrEnum):
    LIVE = "live"
    RETIRED = "retired"
    """It has no rows any more; its id is not given to another."""
    MERGED = "merged"
    """People merged it into another, whose id its rows have now; its size is that of its part."""


@dataclass(frozen=True, slots=True)
class ClusterText:
    """What a cluster is about, for people; ``keywords`` the most telling first."""

    name: str = ""
    description: str = ""
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class CatalogueEntry:
    """One cluster. ``id`` is what ``cluster_id`` of its rows says.

    ``centroid``: ``(d,) float32``, None where means of vectors mean nothing (binary vectors).
    ``medoid_key``: the row in its middle; ``exemplar_keys``: a few rows that show what it is.
    ``persistence``: in [0, 1]; ``stability``: mean Jaccard under resampling, in [0, 1], None where
    it was not measured. ``pinned``, ``hidden``: said by people; ``merged_into``: the id that they
    merged it into, None unless its state is merged. Of a cluster that others were merged into,
    ``exemplar_keys`` are those of its own part. ``lineage``: a JSON array of what
    became of the cluster, oldest first. ``first_*``, ``last_*``: the run that first and last found
    it, and when, as ``utc_text``.
    """

    id: int
    size: int
    medoid_key: RowKey
    exemplar_keys: tuple[RowKey, ...] = ()
    centroid: Float32Array | None = None
    name: str = ""
    description: str = ""
    keywords: tuple[str, ...] = ()
    persistence: float = 0.0
    stability: float | None = None
    state: ClusterState = ClusterState.LIVE
    pinned: bool = False
    hidden: bool = False
    lineage: str = "[]"
    first_run: str = ""
    first_seen: str = ""
    last_run: str = ""
    last_seen: str = ""
    merged_into: int | None = None

    def __post_init__(self) -> None:
        if self.id < 0 or self.size < 0:
            raise ValueError(f"id {self.id} and size {self.size} must be at least 0")
        if (self.merged_into is not None) != (self.state == ClusterState.MERGED):
            raise ValueError(f"cluster {self.id} is {self.state}, merged into {self.merged_into}")
        for score in (self.persistence, self.stability):
            if score is not None and not 0.0 <= score <= 1.0:
                raise ValueError(f"scores of cluster {self.id} must lie in [0, 1], not {score}")
        for run in (self.first_run, self.last_run):
            _check_run_id(run)

    @property
    def live(self) -> bool:
        return self.state == ClusterState.LIVE


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """All clusters, as the run ``run_id`` left them.

    ``identity``: of the collection that they are clusters of, see ``CollectionProfile.identity``.
    """

    entries: tuple[CatalogueEntry, ...]
    run_id: str
    identity: str
    _by_id: dict[int, CatalogueEntry] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        ids = [entry.id for entry in self.entries]
        if any(a >= b for a, b in pairwise(ids)):
            raise ValueError("the entries of a catalogue must ascend by id, each there once")
        _check_run_id(self.run_id)
        object.__setattr__(self, "_by_id", dict(zip(ids, self.entries, strict=True)))

    def get(self, id: int) -> CatalogueEntry | None:  # noqa: A002 - it is called so everywhere
        return self._by_id.get(id)

    def having(self, entries: Iterable[CatalogueEntry]) -> Catalogue:
        """The same with ``entries`` in place of those of their ids."""
        by_id = self._by_id | {entry.id: entry for entry in entries}
        return replace(self, entries=tuple(by_id[i] for i in sorted(by_id)))

    @property
    def live(self) -> tuple[CatalogueEntry, ...]:
        return tuple(entry for entry in self.entries if entry.live)

    def heirs(self) -> dict[int, int]:
        """The ids of clusters that people merged, and those that their rows have instead."""
        into = {e.id: e.merged_into for e in self.entries if e.merged_into is not None}
        found = {}
        for start in into:
            passed = [start]
            while passed[-1] in into and into[passed[-1]] not in passed:
                passed.append(into[passed[-1]])
            if passed[-1] not in into:  # or somebody has written what goes in a circle
                found[start] = passed[-1]
        return found

    @property
    def next_id(self) -> int:
        """The smallest id that no cluster has or had; retired entries keep theirs taken."""
        return self.entries[-1].id + 1 if self.entries else 0


def utc_text(moment: datetime) -> str:
    """``2026-03-01T03:00:00Z``: text that sorts by time. ``ValueError`` if it has no time zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def fitted(entry: CatalogueEntry) -> CatalogueEntry:
    """The entry with texts no longer than the limits above, which count bytes of UTF-8.

    Name and description are cut; keywords and exemplars are dropped from the end, events of the
    lineage from the beginning. Raises ``ValueError`` if the lineage is no JSON array.
    """
    keywords = [cut(word, KEYWORD_BYTES) for word in entry.keywords]
    return replace(
        entry,
        name=cut(entry.name, NAME_BYTES),
        description=cut(entry.description, DESCRIPTION_BYTES),
        keywords=tuple(_leading(keywords, KEYWORDS_BYTES)),
        exemplar_keys=tuple(_leading(entry.exemplar_keys, EXEMPLARS_BYTES)),
        lineage=_latest(entry.lineage, LINEAGE_BYTES),
    )


def cut(text: str, limit: int) -> str:
    """The longest beginning of at most ``limit`` bytes; half a surrogate pair becomes ``?``."""
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


def json_text(values: Iterable[object]) -> str:
    """A JSON array as it is stored."""
    return json.dumps(list(values), ensure_ascii=False, separators=(", ", ": "))


def _leading(values: Iterable[T], limit: int) -> Iterator[T]:
    left = limit - len("[]")
    for value in values:
        left -= len(json_text([value]).encode()) - len("[]")
        if left < 0:
            return
        yield value
        left -= len(", ")


def _latest(lineage: str, limit: int) -> str:
    try:
        events = json.loads(lineage)
    except json.JSONDecodeError as error:
        raise ValueError(f"the lineage is no JSON: {error}") from error
    if not isinstance(events, list):
        raise ValueError(f"the lineage must be a JSON array, not {type(events).__name__}")
    if len(lineage.encode("utf-8", "replace")) <= limit:
        return lineage
    return json_text(reversed(list(_leading(reversed(events), limit))))


def _check_run_id(run_id: str) -> None:
    if len(run_id.encode()) > RUN_ID_BYTES:
        raise ValueError(f"run id {run_id!r} is longer than {RUN_ID_BYTES} bytes")
