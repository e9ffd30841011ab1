"""What the clusters of a recorded run are about, told by their own rows.

In: adapters, the manifest of a run, a tokenizer, by choice a language model. Out: ``Explained``: a
card for each cluster and the manifest with ``facts["explain"]``, both recorded; words and names in
the catalogue too, if that tells of the run's clusters.
Promise: labels are those that the run wrote, rows those that are still there; no label and no field
of a row is touched; names and descriptions by people stay. What counting finds is recorded before a
language model is asked; what an earlier ``explain`` of the run had asked for, and this one does
not, stays on the cards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vdbcluster.config.settings import Settings
from vdbcluster.errors import RefusedError, UsageError, VdbclusterError
from vdbcluster.model.arrays import Keys
from vdbcluster.model.cards import Card
from vdbcluster.model.manifest import RunManifest
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.cards import (
    Findings,
    Showing,
    Texts,
    card_arrays,
    cards_of,
    label_prefix,
    newest_explanation,
    recorded_cards,
)
from vdbcluster.pipeline.commentary import Commenting, commented
from vdbcluster.pipeline.commentary_again import ASKED, answered, as_asked, with_commentary
from vdbcluster.pipeline.commentary_forecast import Forecast, forecast
from vdbcluster.pipeline.copies import (
    copies_by_cluster,
    n_copies,
    n_odd,
    odd_and_copied,
    odd_by_cluster,
    standing,
    texts_of,
)
from vdbcluster.pipeline.explain_record import Explained, record
from vdbcluster.pipeline.features import card_features, learn_features, save_classifiers
from vdbcluster.pipeline.findings import found_words, inner_cards, shown, terms_of
from vdbcluster.pipeline.members import Members, Neighborhood, neighborhood, run_members
from vdbcluster.pipeline.room import room_of
from vdbcluster.ports import Observer, RunStore
from vdbcluster.ports.tokens import Tokenizer

Agree = Callable[[Forecast], bool]


@dataclass(frozen=True, slots=True)
class Explaining:
    """What ``explain_run`` works with; ``text_field``: whose words are counted, empty for none.

    ``named``: whether somebody said so; a field that only looks like it may turn out empty.
    ``commenting``: the language model, None for no commentary; ``agree`` is asked what it may take.
    """

    adapters: Adapters
    tokenizer: Tokenizer
    settings: Settings
    text_field: str
    named: bool = True
    commenting: Commenting | None = None
    agree: Agree = lambda _: True


def explain_run(made: Explaining, manifest: RunManifest, observer: Observer) -> Explained:
    """See the module.

    Raises ``UsageError`` if the run labelled nothing that can be explained, no row has a text in
    the field, or a setting is wrong; ``RefusedError`` if the collection was created anew since,
    most rows are gone, or nobody agreed to what the commentary takes.
    """
    members = run_members(made.adapters, manifest, observer, room_of(made.settings))
    cards, facts = _counted(made, manifest, members, observer)
    found = record(made.adapters, manifest, cards, facts, observer)
    if made.commenting is None:
        return found
    return _commented(made, made.commenting, found, members.keys, observer)


def _counted(
    made: Explaining, manifest: RunManifest, members: Members, observer: Observer
) -> tuple[list[Card], dict[str, Any]]:
    """Everything but the commentary, which is that of before."""
    texts = _texts(made, members.keys, observer)
    near = neighborhood(made.adapters, manifest, members, observer)
    settings, terms = made.settings.explain, terms_of(made.tokenizer, texts, observer)
    with observer.stage("keywords", len(members)) as progress:
        words = found_words(terms, members.labels, members.vectors, settings)
        found = shown(members, near, words, settings)
        progress.advance(len(members))
    found, facts = _with_copies(made, members, near, found, texts)
    found, learnt = _with_features(made, manifest, members, found, observer)
    show = Showing(members.keys, texts)
    whole = cards_of(show, members.labels, found)
    cards = [*whole, *inner_cards(members, terms, show, settings)]
    named: dict[str, Any] = {
        "text_field": made.text_field,
        "rows": len(members),
        "terms": made.tokenizer.description if texts else "",
        "settings": settings.model_dump(mode="json"),
    }
    return _as_before(made, manifest, cards), named | facts | learnt


def _texts(made: Explaining, keys: Keys, observer: Observer) -> Texts | None:
    """Of all rows; None where there is no field of texts."""
    if not made.text_field:
        observer.warn(
            "no field is known to hold texts, so there are no keywords; name one with --text-field"
        )
        return None
    texts: list[str | None] = []
    with observer.stage("texts", len(keys)) as progress:
        for text in texts_of(made.adapters.source, keys, made.text_field):
            texts.append(text)
            progress.advance(1)
    if any(texts):
        return texts
    told = f"no row has a text in the field {made.text_field!r}"
    if made.named and texts:
        raise UsageError(f"{told}; name another with --text-field")
    observer.warn(f"{told}, so there are no keywords")
    return None


def _with_copies(
    made: Explaining, members: Members, near: Neighborhood, found: Findings, texts: Texts | None
) -> tuple[Findings, dict[str, Any]]:
    keys, labels = members.keys, members.labels
    settings = made.settings.duplicates
    copied, odd, facts = odd_and_copied(
        near.graph,
        near.points,
        members.vectors,
        keys,
        settings,
        labels=labels,
        probabilities=members.labelled.probability.astype(float),
        texts=texts if settings.texts else None,
    )
    kept = standing(copied, keys, [members.labelled])  # a card says what the marks say
    more = replace(
        found,
        copies=copies_by_cluster(copied, kept, keys, labels),
        n_copies=n_copies(kept, labels),
        odd=odd_by_cluster(odd, keys, labels),
        n_odd=n_odd(odd, labels),
    )
    return more, facts


def _with_features(
    made: Explaining, manifest: RunManifest, members: Members, found: Findings, observer: Observer
) -> tuple[Findings, dict[str, Any]]:
    """What scalar fields say; the classifiers go into the record of the run."""
    if not made.settings.features.enabled:
        return found, {}
    adapters = made.adapters
    learnt = learn_features(
        adapters.source,
        adapters.profile,
        members.keys,
        members.labels,
        made.settings.features,
        observer,
        label_prefix=made.settings.write.label_prefix,
        seed=made.settings.run.seed,
    )
    save_classifiers(adapters.runs, manifest.run_id, learnt.classifiers)
    told = {i: card_features(learnt, i) for i in set(members.labels.tolist())}
    features = {i: one for i, one in told.items() if one is not None}
    return replace(found, features=features), {"features": learnt.facts}


def _as_before(made: Explaining, manifest: RunManifest, cards: Sequence[Card]) -> list[Card]:
    """With what was found for the same run before, and is not looked for now."""
    try:
        before = recorded_cards(made.adapters.runs, manifest.run_id)
    except VdbclusterError:
        return list(cards)
    known = {card.called: card for card in before}
    return [card.with_rest_of(known.get(card.called)) for card in cards]


def _commented(
    made: Explaining, commenting: Commenting, found: Explained, keys: Keys, observer: Observer
) -> Explained:
    """With what a language model says of the clusters; ``keys``: of rows that there are."""
    runs, manifest = made.adapters.runs, found.manifest
    subject = [card for card in found.cards if commenting.settings.inner or not card.path]
    rest = found.cards[len(subject) :]  # those within others come last
    asked = as_asked(subject, () if commenting.settings.refresh else _before(runs, manifest))
    if not made.agree(forecast(commenting, asked)):
        raise RefusedError("not confirmed; the language model was not asked")
    told = commented(commenting, asked, observer)
    said = answered(asked, told.cards)
    runs.save_arrays(manifest.run_id, card_arrays(said), ASKED)
    cards = with_commentary(subject, said, keys)
    facts = {**manifest.facts["explain"], "commentary": dict(told.facts)}
    return record(made.adapters, manifest, [*cards, *rest], facts, observer)


def _before(runs: RunStore, manifest: RunManifest) -> tuple[Card, ...]:
    """The cards that a model was last asked about."""
    try:
        return newest_explanation(runs, manifest.identity, label_prefix(manifest), ASKED).cards
    except VdbclusterError:
        return ()
