"""Where what was found about clusters is kept: the record of the run, and the catalogue.

In: cards, facts. Out: ``Explained``. Promise: names and descriptions that people gave stay. A name
counts as a model's, and is replaced by its next one, only if the record of a run says that a model
gave it to this cluster and it was not changed since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vdbcluster.model.cards import Card
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry, fitted
from vdbcluster.model.manifest import RunManifest
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.cards import CARDS, card_arrays
from vdbcluster.ports import Observer, RunStore
from vdbcluster.ports.catalogue import ClusterCatalogue

NAMES = "names"
"""Fact of an explanation: by cluster the names and descriptions that a model has given to it."""
Said = Mapping[int, set[str]]


@dataclass(frozen=True, slots=True)
class Explained:
    """The record of the run, with what was found; cards by rising id, those within others last."""

    manifest: RunManifest
    cards: tuple[Card, ...]


def record(
    adapters: Adapters,
    manifest: RunManifest,
    cards: Sequence[Card],
    facts: Mapping[str, Any],
    observer: Observer,
) -> Explained:
    """Cards and facts into the record of the run, words and names into the catalogue."""
    adapters.runs.save_arrays(manifest.run_id, card_arrays(cards), CARDS)
    names = manifest.facts.get("explain", {}).get(NAMES, {})
    told: dict[str, Any] = {**facts, NAMES: _names(names, cards)}
    # Recorded before the catalogue has them, so that no name is taken for that of people.
    draft = replace(manifest, facts={**manifest.facts, "explain": {**told, "catalogue": ""}})
    adapters.runs.save(draft)
    told["catalogue"] = _store(adapters, manifest, cards, observer)
    final = replace(manifest, facts={**manifest.facts, "explain": told})
    adapters.runs.save(final)
    return Explained(final, tuple(cards))


def _names(before: Mapping[str, list[str]], cards: Sequence[Card]) -> dict[str, list[str]]:
    """With those of these cards, as a catalogue has room for them."""
    found = {cluster: list(texts) for cluster, texts in before.items()}
    for card in cards:
        said = card.commentary
        if said is not None and said.model and not card.path:
            texts = found.setdefault(str(card.id), [])
            entry = _said_of(CatalogueEntry(card.id, card.size, 0), card)
            texts += [text for text in (entry.name, entry.description) if text not in texts]
    return found


def _store(
    adapters: Adapters, manifest: RunManifest, cards: Sequence[Card], observer: Observer
) -> str:
    """The name of the catalogue that has the words now; empty if none is to have them."""
    if adapters.catalogue is None or manifest.state != "written":
        return ""
    catalogue = adapters.catalogue()
    if not tells_of(catalogue, manifest):
        observer.warn(
            f"{catalogue.name!r} tells of another run than {manifest.run_id}; the cards are in "
            "the record of that run alone"
        )
        return ""
    by_models = said_by_models(adapters.runs, manifest.identity)
    catalogue.edit(lambda held: _with_words(held, cards, by_models))
    return catalogue.name


def tells_of(catalogue: ClusterCatalogue, manifest: RunManifest) -> bool:
    """Whether its live clusters are those of the run, but for what came and was merged since."""
    held = catalogue.read()
    if held is None:
        return False
    ours = {cluster.id for cluster in manifest.clusters}
    live = {entry.id for entry in held.live}
    return bool(ours & live) and len(ours & live) * 2 >= len(ours)


def said_by_models(runs: RunStore, identity: str) -> Said:
    """Names and descriptions that models gave to clusters of a collection, as records say."""
    found: dict[int, set[str]] = {}
    for one in runs.every():
        if one.identity == identity:
            for cluster, texts in one.facts.get("explain", {}).get(NAMES, {}).items():
                found.setdefault(int(cluster), set()).update(texts)
    return found


def _with_words(
    held: Catalogue, cards: Sequence[Card], by_models: Said
) -> Iterable[CatalogueEntry]:
    told = {card.id: card for card in cards if not card.path}
    for entry in held.live:
        if (card := told.get(entry.id)) is None:
            continue
        news = _said_of(entry, card) if card.commentary and card.commentary.model else entry
        ours = by_models.get(entry.id, set()) | {""}
        changed = replace(
            entry,
            keywords=card.terms or entry.keywords,
            name=news.name if entry.name in ours else entry.name,
            description=news.description if entry.description in ours else entry.description,
        )
        if _texts(changed) != _texts(entry):
            yield changed


def _said_of(entry: CatalogueEntry, card: Card) -> CatalogueEntry:
    """The entry with the name and description of a model."""
    said = card.commentary
    if said is None:
        return entry
    return fitted(replace(entry, name=said.name, description=said.description))


def _texts(entry: CatalogueEntry) -> tuple[object, ...]:
    return entry.name, entry.description, entry.keywords
