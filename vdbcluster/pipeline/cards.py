"""The cards of a run's clusters: made of what the stages found, and kept in its record.

In: members, texts, findings. Out: ``Card``s by rising id; arrays for the record, and back.
Promise: a card tells of the run's clusters as they were then; keys are those of rows that are still
there.

    runs.save_arrays(run_id, card_arrays(cards), CARDS)
    recorded_cards(runs, run_id)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vdbcluster.errors import VdbclusterError
from vdbcluster.explain.centroids import NO_SIBLING, centroids, clusters, directions, siblings
from vdbcluster.explain.representatives import Representatives as Places
from vdbcluster.model.arrays import Float32Array, Int64Array, Keys
from vdbcluster.model.cards import (
    Card,
    Copies,
    Explanation,
    Keyword,
    Odd,
    Representatives,
    Shown,
    Sibling,
)
from vdbcluster.model.catalogue import RowKey
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.manifest import RunManifest
from vdbcluster.pipeline.part import WHOLE, Part, shows
from vdbcluster.ports import RunStore

CARDS = "cards"
SIBLINGS = 3
Words = Mapping[int, tuple[Keyword, ...]]
Texts = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Findings:
    """What there is to tell of each cluster, by its id.

    ``copies``, ``odd``: without texts; None where nobody looked. ``features``: as a card has them.
    """

    keywords: Words
    places: Mapping[int, Places]
    siblings: Mapping[int, tuple[Sibling, ...]]
    copies: Mapping[int, tuple[Copies, ...]] | None = None
    n_copies: Mapping[int, int] = field(default_factory=dict)
    odd: Mapping[int, tuple[Odd, ...]] | None = None
    n_odd: Mapping[int, int] = field(default_factory=dict)
    features: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Showing:
    """Places of rows to what a card shows of them. ``keys (n,)``; ``texts``: None without any."""

    keys: Keys
    texts: Texts | None

    def row(self, place: int) -> Shown:
        return Shown(plain_key(self.keys[place]), self.texts[place] if self.texts else None)

    def rows(self, places: Int64Array) -> tuple[Shown, ...]:
        return tuple(self.row(int(place)) for place in places)

    def of(self, places: Places) -> Representatives:
        lists = (places.central, places.dense, places.diverse, places.border)
        return Representatives(self.row(places.medoid), *map(self.rows, lists))

    def text(self, key: RowKey) -> str | None:
        """``keys`` ascend."""
        place = int(np.searchsorted(self.keys, key))
        return self.texts[place] if self.texts else None

    def copies(self, found: Copies) -> Copies:
        return replace(found, kept=Shown(found.kept.key, self.text(found.kept.key)))

    def odd(self, found: Odd) -> Odd:
        return replace(found, text=self.text(found.key))

    def among(self, rows: Int64Array) -> Showing:
        """The same for some rows, counted by their places among these."""
        texts = [self.texts[int(row)] for row in rows] if self.texts else None
        return Showing(self.keys[rows], texts)


def cards_of(show: Showing, labels: Int64Array, found: Findings) -> list[Card]:
    """A card for each cluster that has rows, by rising id."""
    ids, sizes = np.unique(labels[labels != NOISE], return_counts=True)
    return [_card(int(i), int(size), show, found) for i, size in zip(ids, sizes, strict=True)]


def _card(cluster: int, size: int, show: Showing, found: Findings) -> Card:
    return Card(
        id=cluster,
        size=size,
        keywords=found.keywords.get(cluster, ()),
        representatives=show.of(found.places[cluster]),
        siblings=found.siblings.get(cluster, ()),
        copies=tuple(map(show.copies, (found.copies or {}).get(cluster, ()))),
        n_duplicates=None if found.copies is None else found.n_copies.get(cluster, 0),
        odd=tuple(map(show.odd, (found.odd or {}).get(cluster, ()))),
        n_outliers=None if found.odd is None else found.n_odd.get(cluster, 0),
        features=found.features.get(cluster),
    )


def nearest_clusters(
    vectors: Float32Array, labels: Int64Array, contrast: Words
) -> dict[int, tuple[Sibling, ...]]:
    """The nearest other clusters of each, with the words of ``contrast`` beside the first."""
    found = clusters(labels)
    if len(found) < 2:
        return {}
    centers = centroids(found, directions(vectors))
    near = siblings(centers, SIBLINGS)
    told = {}
    for c, cluster in enumerate(found.ids.tolist()):
        words = tuple(word.term for word in contrast.get(cluster, ()))
        told[cluster] = tuple(
            Sibling(int(found.ids[s]), float(centers[c] @ centers[s]), () if rank else words)
            for rank, s in enumerate(near[c])
            if s != NO_SIBLING
        )
    return told


def plain_key(key: Any) -> RowKey:
    """A key as JSON has it."""
    return key if isinstance(key, str) else int(key)


def card_arrays(cards: Sequence[Card]) -> dict[str, NDArray[Any]]:
    """For the record of a run."""
    texts = np.empty(len(cards), object)
    texts[:] = [json.dumps(card.to_json(), ensure_ascii=False) for card in cards]
    return {"cards": texts}


def recorded_cards(runs: RunStore, run_id: str, part: str = CARDS) -> tuple[Card, ...]:
    """``VdbclusterError`` if the run was not explained, or by another version."""
    try:
        return tuple(Card.from_json(json.loads(t)) for t in runs.load_arrays(run_id, part)["cards"])
    except (VdbclusterError, KeyError, ValueError) as error:
        raise VdbclusterError(
            f"the cards of run {run_id} cannot be read ({error}); vdbcluster explain {run_id} "
            "makes them again"
        ) from error


def newest_explanation(
    runs: RunStore, identity: str, prefix: object, part: str = CARDS, *, rows: Part = WHOLE
) -> Explanation:
    """Of the newest run that was explained, of those whose labels this collection has or had.

    ``identity``: see ``CollectionProfile.identity``; ``prefix``: of the fields that hold labels;
    ``rows``: those that are looked at, as cards have texts of all that the run was about.
    """
    found = [manifest for run_id in runs.having(part) for manifest in _readable(runs, run_id)]
    written = [manifest for manifest in found if manifest.state == "written"]
    same = [m for m in written if m.identity == identity and label_prefix(m) == prefix]
    ours = [manifest for manifest in same if shows(rows, manifest)]
    if not ours:
        return Explanation()
    newest = max(ours, key=lambda manifest: (manifest.started, manifest.run_id))
    return Explanation(newest.run_id, recorded_cards(runs, newest.run_id, part))


def _readable(runs: RunStore, run_id: str) -> list[RunManifest]:
    try:
        return [runs.load(run_id)]
    except VdbclusterError:
        return []


def label_prefix(manifest: RunManifest) -> object:
    """Of the fields that hold the labels of a run."""
    return manifest.settings.get("write", {}).get("label_prefix")
