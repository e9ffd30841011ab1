"""What a language model says of the clusters: names, descriptions, what is odd, what is new.

In: cards of clusters, a ``Chat``. Out: the same cards with a ``Commentary`` each, facts for the
record; before that, what it would cost. Promise: every card has a name afterwards: where the model
has no usable answer, it is made of keywords, and says why. Every answer is kept by the ``Chat`` as
soon as it is there: asked again after whatever went wrong, or with clusters that did not change,
only what is missing is asked. Nothing that a model says is more than text on a card.

    made = Commenting(chat, settings.commentary, Py3LangId(), workers=4)
    print(forecast(made, cards))  # pipeline.commentary_forecast
    commented(made, cards, observer).cards
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from vdbcluster.commentary.checks import from_keywords
from vdbcluster.commentary.excerpts import Excerpt, excerpts
from vdbcluster.commentary.ranking import Standing, calibrated, pairs, standings, unique
from vdbcluster.commentary.templates import Prompts
from vdbcluster.commentary.wording import neighbour_lines
from vdbcluster.config.commentary import CommentarySettings
from vdbcluster.model.cards import Card
from vdbcluster.pipeline.commentary_asking import Asking, Interviewer
from vdbcluster.pipeline.commentary_comparing import Compared, compared
from vdbcluster.pipeline.commentary_naming import Named, Naming, Subject, named
from vdbcluster.ports.chat import Chat, ChatUsage
from vdbcluster.ports.languages import LanguageDetector
from vdbcluster.ports.observer import Observer

AUTO = "auto"
UNKNOWN = "und"
"""Code of a text whose language cannot be told."""
NO_TEXTS = "there are no texts of it to show to the model"


@dataclass(frozen=True, slots=True)
class Commenting:
    """What ``commented`` and ``forecast`` work with; ``workers``: questions under way at once."""

    chat: Chat
    settings: CommentarySettings
    detector: LanguageDetector
    workers: int = 1
    prompts: Prompts = field(default_factory=Prompts.packaged)


@dataclass(frozen=True, slots=True)
class Commented:
    """``cards`` in their order, each with a commentary; ``facts``: as JSON, for the record."""

    cards: tuple[Card, ...]
    facts: Mapping[str, Any]


def commented(made: Commenting, cards: Sequence[Card], observer: Observer) -> Commented:
    """The cards with what the model says.

    Raises ``BackendError`` if the model cannot be reached and there is no answer at all,
    ``UsageError`` where its key, name or address are wrong. A limit of cost is no error: what is
    not asked any more is told by keywords. ``ValueError`` if two cards are called the same.
    """
    if len({card.called for card in cards}) < len(cards):
        raise ValueError("each card must have an id or a path of its own")
    before = made.chat.usage
    asking = Asking(made.chat)
    language = answer_language(made, cards)
    found = named(naming(made, asking, language), subjects(made, cards), observer)
    if asking.away and not asking.answered:
        raise asking.away
    told = tuple(_with_commentary(card, found.get(card.called)) for card in cards)
    result = compare(made, asking, told, observer)
    ranks = standings(result.won)
    best = unique(ranks, made.settings.unique)
    if asking.ended:
        observer.warn(f"the commentary is not complete: {asking.ended}")
    facts = {
        "model": made.chat.model,
        "chat": made.chat.description,
        "language": language,
        "prompts": made.prompts.version,
        "settings": made.settings.model_dump(mode="json"),
        "usage": _spent(before, made.chat.usage),
        "ended": asking.ended,
        **_what_became(found, told),
        **_ranking(result, ranks, told),
    }
    return Commented(tuple(_final(card, ranks.get(card.called), best) for card in told), facts)


def answer_language(made: Commenting, cards: Sequence[Card]) -> str:
    """The language of all answers: as set, else that of most texts that are shown."""
    if made.settings.language != AUTO:
        return made.settings.language
    texts = [one.text for card in cards for one in _excerpts(made, card)]
    counts = Counter(str(code) for code in made.detector.detect(texts) if code != UNKNOWN)
    if not counts:
        return "that of the texts"
    return min(counts, key=lambda code: (-counts[code], code))


def naming(made: Commenting, asking: Interviewer, language: str) -> Naming:
    return Naming(asking, made.prompts, language, made.chat.model, made.workers)


def subjects(made: Commenting, cards: Sequence[Card]) -> list[Subject]:
    """The clusters that have texts to show."""
    by_id = {card.called: card for card in cards}
    found = []
    for card in cards:
        if shown := _excerpts(made, card):
            lines = neighbour_lines(card, by_id, made.settings.siblings)
            found.append(Subject(card, shown, tuple(lines)))
    return found


def compare(
    made: Commenting, asking: Interviewer, told: Sequence[Card], observer: Observer
) -> Compared:
    """Pairs of all cards, those without a commentary by the model passed over.

    They are passed over, not left out before pairs are made: one that fails changes no other pair.
    """
    by_id = {card.called: card for card in told if card.commentary and card.commentary.model}
    every = pairs([card.called for card in told], made.settings.comparisons)
    possible = [pair for pair in every if pair[0] in by_id and pair[1] in by_id]
    return compared(asking, made.prompts, by_id, possible, made.workers, observer)


def _excerpts(made: Commenting, card: Card) -> tuple[Excerpt, ...]:
    return excerpts(card, made.settings.texts, made.settings.text_length)


def _with_commentary(card: Card, found: Named | None) -> Card:
    if found is not None and found.commentary is not None:
        return replace(card, commentary=found.commentary)
    return replace(card, commentary=from_keywords(card, found.trouble if found else NO_TEXTS))


def _final(card: Card, standing: Standing | None, best: Sequence[str]) -> Card:
    said = card.commentary
    if said is None or said.interestingness is None:
        return card
    final = replace(
        said,
        interestingness=calibrated(said.interestingness, standing),
        unique=said.perspective if card.called in best else "",
    )
    return replace(card, commentary=final)


def _what_became(found: Mapping[str, Named], told: Sequence[Card]) -> dict[str, Any]:
    """Clusters by what became of the question about them."""
    return {
        "clusters": len(told),
        "told_by_model": sum(bool(card.commentary and card.commentary.model) for card in told),
        "repaired": sorted(each for each, one in found.items() if one.repaired),
        "renamed": sorted(each for each, one in found.items() if one.renamed),
        "failed": {
            card.called: card.commentary.trouble
            for card in told
            if card.commentary and card.commentary.trouble
        },
    }


def _ranking(
    result: Compared, ranks: Mapping[str, Standing], told: Sequence[Card]
) -> dict[str, Any]:
    """The comparisons, and of each cluster what its interestingness is made of."""
    return {
        "pairs": len(result.won) // 2,
        "contradictory_pairs": result.contradictory,
        "unanswered_pairs": result.unanswered,
        "rubric": {
            card.called: card.commentary.interestingness
            for card in told
            if card.commentary and card.commentary.interestingness is not None
        },
        "standings": {each: asdict(one) for each, one in ranks.items()},
    }


def _spent(before: ChatUsage, after: ChatUsage) -> dict[str, Any]:
    start, end = asdict(before), asdict(after)
    return {name: end[name] - start[name] for name in end}
