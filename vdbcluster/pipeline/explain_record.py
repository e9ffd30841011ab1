"""Where what was found about clusters is kept: the record of the run, and the catalogue.

In: cards, facts. Out: ``Explained``. Promise: of the record only ``facts["explain"]`` changes, on
top of whatever became of the run meanwhile. Names and descriptions that people gave stay: one
counts as a model's, and is replaced by its next one, only while the newest record says that it is
what the model gave to this cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from vdbcluster.model.cards import Card
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry, fitted
from vdbcluster.model.manifest import RunManifest
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.cards import CARDS, card_arrays, label_prefix
from vdbcluster.ports import Observer, RunStore
from vdbcluster.ports.catalogue import ClusterCatalogue

EXPLAIN = "explain"
NAMES, AT = "names", "at"
"""Facts of an explanation: by cluster the texts of the catalogue that are a model's, and when."""
STAYING = ("commentary", "features")
"""Facts that stay where they are not found anew."""
Said = dict[str, list[str]]


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
    """Cards and facts into the record of the run, words and names into the catalogue.

    A run that was taken back meanwhile is recorded, and its catalogue left alone.
    """
    runs, run_id = adapters.runs, manifest.run_id
    runs.save_arrays(run_id, card_arrays(cards), CARDS)
    before, news = said_by_models(runs, manifest), _said(cards)
    # Recorded before the catalogue has them, so that no name of a model is taken for a person's.
    either = {i: [*before.get(i, []), *news.get(i, [])] for i in (before | news)}
    draft = _saved(runs, run_id, {**facts, NAMES: either, "catalogue": ""})
    name = _store(adapters, draft, cards, before, observer)
    final = _saved(runs, run_id, {**facts, NAMES: before | news, "catalogue": name})
    return Explained(final, tuple(cards))


def _saved(runs: RunStore, run_id: str, facts: Mapping[str, Any]) -> RunManifest:
    """The record as it is now, with these facts of the explanation."""
    now = runs.load(run_id)
    earlier = now.facts.get(EXPLAIN, {})
    staying = {name: earlier[name] for name in STAYING if name in earlier}
    at = datetime.now(UTC).isoformat(timespec="microseconds")
    told = replace(now, facts={**now.facts, EXPLAIN: {**staying, **facts, AT: at}})
    runs.save(told)
    return told


def said_by_models(runs: RunStore, manifest: RunManifest) -> Said:
    """Texts that a model gave to clusters with these labels, as the newest record has them."""
    found: list[Mapping[str, Any]] = [
        one.facts[EXPLAIN]
        for one in runs.every()
        if one.identity == manifest.identity
        and label_prefix(one) == label_prefix(manifest)
        and NAMES in one.facts.get(EXPLAIN, {})
    ]
    found.sort(key=lambda facts: str(facts.get(AT, "")))
    return dict(found[-1][NAMES]) if found else {}


def _said(cards: Sequence[Card]) -> Said:
    """What a model says of whole clusters, as a catalogue has room for it."""
    found = {}
    for card in cards:
        if not card.path and card.commentary is not None and card.commentary.model:
            entry = _named(CatalogueEntry(card.id, card.size, 0), card)
            found[str(card.id)] = [entry.name, entry.description]
    return found


def _store(
    adapters: Adapters,
    manifest: RunManifest,
    cards: Sequence[Card],
    by_models: Said,
    observer: Observer,
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
    catalogue.edit(lambda held: _with_words(held, cards, by_models))
    return catalogue.name


def tells_of(catalogue: ClusterCatalogue, manifest: RunManifest) -> bool:
    """Whether its live clusters are those of the run, but for what came and was merged since."""
    held = catalogue.read()
    if held is None:
        return False
    ours = {cluster.id for cluster in manifest.clusters}
    live = {entry.id for entry in held.live}
    return bool(ours & live) == bool(ours) and len(ours & live) * 2 >= len(ours)


def _with_words(
    held: Catalogue, cards: Sequence[Card], by_models: Said
) -> Iterable[CatalogueEntry]:
    told = {card.id: card for card in cards if not card.path}
    for entry in held.live:
        if (card := told.get(entry.id)) is None:
            continue
        news = _named(entry, card) if card.commentary and card.commentary.model else entry
        ours = {"", *by_models.get(str(entry.id), [])}
        changed = replace(
            entry,
            keywords=card.terms or entry.keywords,
            name=news.name if entry.name in ours else entry.name,
            description=news.description if entry.description in ours else entry.description,
        )
        if _texts(changed) != _texts(entry):
            yield changed


def unexplained(held: Catalogue, after: Catalogue, by_models: Said) -> Iterable[CatalogueEntry]:
    """The entries of a run that was explained, as it left them; names by people stay."""
    for entry in held.entries:
        left = after.get(entry.id)
        if left is None:
            continue
        ours = by_models.get(str(entry.id), [])
        back = replace(
            entry,
            keywords=left.keywords,
            name=left.name if entry.name in ours else entry.name,
            description=left.description if entry.description in ours else entry.description,
        )
        if _texts(back) != _texts(entry):
            yield back


def _named(entry: CatalogueEntry, card: Card) -> CatalogueEntry:
    """The entry with the name and description of a model."""
    said = card.commentary
    if said is None:
        return entry
    return fitted(replace(entry, name=said.name, description=said.description))


def _texts(entry: CatalogueEntry) -> tuple[object, ...]:
    return entry.name, entry.description, entry.keywords
