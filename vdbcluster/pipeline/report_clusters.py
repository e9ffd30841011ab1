"""What a report tells of each cluster.

In: labels of rows, the manifest, cards, the catalogue, columns of fields. Out: ``ReportCluster``s,
largest first. Promise: no I/O; names by people go before those of a model, these before words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from vdbcluster.model.arrays import BoolArray, Int64Array
from vdbcluster.model.cards import Card, Explanation, Shown
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry, RowKey
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.lines import one_line
from vdbcluster.model.manifest import ClusterRow, RunManifest
from vdbcluster.model.report import Bars, ReportCluster
from vdbcluster.pipeline.report_changes import history_lines, joined_labels
from vdbcluster.pipeline.report_doubts import cluster_doubts
from vdbcluster.pipeline.report_fields import Column, told_fields

WORDS = 3
TITLE, QUOTE = 80, 56
FIELDS = 6
"""That a card draws, the most important first."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What is known of clusters beside their rows. ``columns``: of all rows, by name.

    ``medoids``: where there are no cards, rows in the middle by cluster. ``cited``: texts of rows
    by key; ``days``: when runs were, by run id.
    """

    manifest: RunManifest
    explanation: Explanation = field(default_factory=Explanation)
    catalogue: Catalogue | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)
    medoids: Mapping[int, Shown] = field(default_factory=dict)
    cited: Mapping[RowKey, str] = field(default_factory=dict)
    days: Mapping[str, str] = field(default_factory=dict)

    def entry(self, cluster: int) -> CatalogueEntry | None:
        return self.catalogue.get(cluster) if self.catalogue else None


def report_clusters(
    labels: Int64Array, soft: BoolArray, known: Sources
) -> tuple[ReportCluster, ...]:
    """``labels (n,)``: of the rows that are there, -1 for noise; ``soft (n,)``: which of them were
    noise at first. Ties in size go by id.
    """
    rows = {row.id: row for row in known.manifest.clusters}
    joined = _joined(known)
    ids, sizes = np.unique(labels[labels != NOISE], return_counts=True)
    order = np.lexsort((ids, -sizes))
    return tuple(
        _cluster(int(i), labels == i, soft, rows.get(int(i)), joined, known) for i in ids[order]
    )


def labels_now(labels: Int64Array, catalogue: Catalogue | None) -> Int64Array:
    """With the id that clusters have which people merged since."""
    return joined_labels(labels, catalogue.heirs() if catalogue else {})


def _joined(known: Sources) -> dict[int, tuple[int, ...]]:
    """The clusters of the run that people merged into others, by these."""
    ours = {row.id for row in known.manifest.clusters}
    found: dict[int, tuple[int, ...]] = {}
    for old, new in (known.catalogue.heirs() if known.catalogue else {}).items():
        if old in ours:
            found[new] = (*found.get(new, ()), old)
    return found


def _cluster(
    cluster: int,
    inside: BoolArray,
    soft: BoolArray,
    row: ClusterRow | None,
    joined: Mapping[int, tuple[int, ...]],
    known: Sources,
) -> ReportCluster:
    size = int(np.count_nonzero(inside))
    card, entry = known.explanation.get(cluster), known.entry(cluster)
    name, description = _said(card, entry)
    medoid = _medoid(card, known.medoids.get(cluster))
    keywords = _keywords(card, entry)
    return ReportCluster(
        id=cluster,
        size=size,
        share=size / len(inside),
        soft=int(np.count_nonzero(soft & inside)),
        title=title_of(cluster, name, keywords, card, medoid),
        name=name,
        description=description,
        keywords=keywords,
        stability=row.stability if row else None,
        persistence=row.persistence if row else 0.0,
        medoid=medoid,
        card=card,
        inner=known.explanation.within(cluster),
        bars=_bars(card, inside, known.columns),
        cited=_cited(card, known.cited),
        since=entry.first_seen if entry else "",
        history=history_lines(entry.lineage, known.days) if entry else (),
        doubts=cluster_doubts(row) if row else (),
        pinned=bool(entry and entry.pinned),
        hidden=bool(entry and entry.hidden),
        joined=joined.get(cluster, ()),
    )


def _said(card: Card | None, entry: CatalogueEntry | None) -> tuple[str, str]:
    """Name and description: the catalogue has those of people, or of a model where they said
    nothing.
    """
    said = card.commentary if card else None
    name = (entry.name if entry else "") or (said.name if said else "")
    return name, (entry.description if entry else "") or (said.description if said else "")


def _keywords(card: Card | None, entry: CatalogueEntry | None) -> tuple[str, ...]:
    return (card.terms if card else ()) or (entry.keywords if entry else ())


def title_of(
    cluster: int,
    name: str,
    keywords: tuple[str, ...],
    card: Card | None,
    medoid: Shown | None = None,
) -> str:
    """What it is called in one line: its name, words, fields, the row in its middle, its number."""
    told = list(told_fields(card.features if card else None).values())
    said = medoid.text if medoid is not None and medoid.text else ""
    every = (
        name,
        ", ".join(keywords[:WORDS]),
        told[0].rpartition(": ")[0] if told else "",
        f"“{one_line(said, QUOTE)}”" if said.strip() else "",
    )
    return one_line(next(filter(None, every), ""), TITLE) or f"cluster {cluster}"


def _medoid(card: Card | None, other: Shown | None) -> Shown | None:
    return card.representatives.medoid if card and card.representatives else other


def _bars(card: Card | None, inside: np.ndarray, columns: Mapping[str, Column]) -> tuple[Bars, ...]:
    told = told_fields(card.features if card else None)
    names = [name for name in told if name in columns][:FIELDS]
    return tuple(columns[name].bars(inside, told[name]) for name in names)


def _cited(card: Card | None, texts: Mapping[RowKey, str]) -> dict[RowKey, str]:
    return {key: texts[key] for key in cited_keys(card) if key in texts}


def cited_keys(card: Card | None) -> tuple[RowKey, ...]:
    """Of rows that claims go by, each once."""
    said = card.commentary if card else None
    if said is None:
        return ()
    every = [*said.cited, *(key for claim in said.unusual for key in claim.cited)]
    return tuple(dict.fromkeys(every))
