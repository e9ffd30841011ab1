"""What the clusters of a recorded run are about, told by their own rows.

In: adapters, the manifest of a run, a tokenizer. Out: ``Explained``: a card for each cluster and
the manifest with ``facts["explain"]``, both recorded; words and names in the catalogue too, if that
tells of the run's clusters.
Promise: labels are those that the run wrote, rows those that are still there; no label and no field
of a row is touched; names and descriptions by people stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vdbcluster.config.explain import ExplainSettings
from vdbcluster.errors import UsageError
from vdbcluster.explain.keywords import keywords
from vdbcluster.explain.representatives import representatives
from vdbcluster.explain.vocabulary import vocabulary
from vdbcluster.model.arrays import Keys
from vdbcluster.model.cards import Card, Keyword
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry
from vdbcluster.model.manifest import RunManifest
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.cards import CARDS, Findings, card_arrays, cards_of, nearest_clusters
from vdbcluster.pipeline.members import Members, neighborhood, run_members
from vdbcluster.ports import Observer
from vdbcluster.ports.catalogue import ClusterCatalogue
from vdbcluster.ports.tokens import Tokenizer

TEXTS = 1000
"""Rows whose texts are asked for at a time."""
CONTRAST_TERMS = 5
Found = Mapping[int, tuple[Keyword, ...]]
Texts = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Explaining:
    """What ``explain_run`` works with; ``text_field``: whose words are counted, empty for none."""

    adapters: Adapters
    tokenizer: Tokenizer
    settings: ExplainSettings
    text_field: str
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Explained:
    """The record of the run, with what was found; a card for each cluster, by rising id."""

    manifest: RunManifest
    cards: tuple[Card, ...]


def explain_run(made: Explaining, manifest: RunManifest, observer: Observer) -> Explained:
    """See the module.

    Raises ``UsageError`` if the run labelled nothing that can be explained, or no row has a text in
    the field; ``RefusedError`` if the collection was created anew since, or most rows are gone.
    """
    adapters, settings = made.adapters, made.settings
    members = run_members(adapters, manifest, observer, made.memory_bytes)
    texts = _texts(made, members.keys, observer)
    near = neighborhood(adapters, manifest, members, observer)
    found, contrast = _words(made, members, texts, observer)
    findings = Findings(
        keywords=found,
        contrast=contrast,
        places=representatives(
            members.vectors,
            members.labels,
            members.labelled.probability,
            near.graph.distances,
            n=settings.n_representatives,
        ),
        siblings=nearest_clusters(members.vectors, members.labels, contrast),
    )
    cards = tuple(cards_of(members.keys, texts, members.labels, findings))
    return _recorded(made, manifest, cards, observer, rows=len(members))


def _texts(made: Explaining, keys: Keys, observer: Observer) -> Texts | None:
    """Of all rows; None where there is no field of texts."""
    if not made.text_field:
        observer.warn(
            "no field is known to hold texts, so there are no keywords; name one with --text-field"
        )
        return None
    texts: list[str | None] = []
    with observer.stage("texts", len(keys)) as progress:
        for start in range(0, len(keys), TEXTS):
            some = keys[start : start + TEXTS]
            texts += made.adapters.source.texts(some, made.text_field)
            progress.advance(len(some))
    if not any(texts):
        raise UsageError(
            f"no row has a text in the field {made.text_field!r}; name another with --text-field"
        )
    return texts


def _words(
    made: Explaining, members: Members, texts: Texts | None, observer: Observer
) -> tuple[Found, Found]:
    """Keywords of each cluster, and what sets it apart from its nearest sibling."""
    if texts is None:
        return {}, {}
    settings = made.settings
    with observer.stage("keywords", len(texts)) as progress:
        counted = vocabulary(made.tokenizer.terms(texts), n_grams=settings.n_grams)
        how, most = settings.keywords, settings.n_keywords
        found = keywords(counted, members.labels, members.vectors, how=how, n_terms=most)
        contrast = keywords(
            counted, members.labels, members.vectors, how="contrast", n_terms=CONTRAST_TERMS
        )
        progress.advance(len(texts))
    for note in made.tokenizer.notes:
        observer.warn(note)
    return found, contrast


def _recorded(
    made: Explaining,
    manifest: RunManifest,
    cards: tuple[Card, ...],
    observer: Observer,
    *,
    rows: int,
) -> Explained:
    """Cards and facts in the record, words in the catalogue."""
    runs = made.adapters.runs
    runs.save_arrays(manifest.run_id, card_arrays(cards), CARDS)
    facts: dict[str, Any] = {
        "text_field": made.text_field,
        "rows": rows,
        "terms": made.tokenizer.description if made.text_field else "",
        "settings": made.settings.model_dump(mode="json"),
        "catalogue": _store(made.adapters, manifest, cards, observer),
    }
    told = replace(manifest, facts={**manifest.facts, "explain": facts})
    runs.save(told)
    return Explained(told, cards)


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
    catalogue.edit(lambda held: _with_words(held, cards))
    return catalogue.name


def tells_of(catalogue: ClusterCatalogue, manifest: RunManifest) -> bool:
    """Whether its live clusters are those of the run, but for what came and was merged since."""
    held = catalogue.read()
    if held is None:
        return False
    ours = {cluster.id for cluster in manifest.clusters}
    live = {entry.id for entry in held.live}
    return bool(ours & live) and len(ours & live) * 2 >= len(ours)


def _with_words(held: Catalogue, cards: Sequence[Card]) -> Iterable[CatalogueEntry]:
    told = {card.id: card for card in cards}
    for entry in held.live:
        card = told.get(entry.id)
        if card is not None and card.terms and card.terms != entry.keywords:
            yield replace(entry, keywords=card.terms)
