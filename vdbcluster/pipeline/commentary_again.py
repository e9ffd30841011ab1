"""What a model said of a cluster before, where the cluster is much the same by now.

In: cards of now, cards as a model was last asked about. Out: cards to ask about; the commentary on
the cards of now. Promise: where nothing of note has changed, the question is the very same, so that
its answer is known and costs nothing; no claim cites a row that is gone; what a model has said is
not lost because it fails later.

Keywords, representatives and sizes move a little with every row that comes or goes. A cluster is
much the same while it has ``SAME_WORDS`` of the words that it had, and between half and twice as
many rows. It is then asked about as it was: what is compared with is always what the model has
seen, so that small changes cannot add up unseen.

    asked = as_asked(cards, recorded_cards(runs, before, ASKED))
    told = answered(asked, commented(made, asked, observer).cards)     # to be recorded as ASKED
    cards = with_commentary(cards, told, members.keys)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from vdbcluster.model.arrays import Keys
from vdbcluster.model.cards import Card, Claim, Commentary
from vdbcluster.model.catalogue import RowKey

ASKED = "asked"
"""Part of the record of a run: cards as a model was asked about them, and what it said."""
SAME_WORDS = 0.6
MOST_GROWTH = 2


def as_asked(cards: Sequence[Card], before: Iterable[Card]) -> list[Card]:
    """Each card, or the one that was asked ``before`` where the cluster is much the same."""
    known = {card.called: card for card in before}
    return [_standing(card, known.get(card.called)) for card in cards]


def _standing(card: Card, before: Card | None) -> Card:
    if before is None:
        return card
    if much_the_same(card, before):
        return before
    return replace(card, commentary=card.commentary or before.commentary)


def much_the_same(card: Card, before: Card) -> bool:
    """See the module; clusters without words are compared by the rows that show them."""
    if not before.size <= MOST_GROWTH * card.size <= MOST_GROWTH**2 * before.size:
        return False
    ours, theirs = (set[RowKey](one.terms) or set(_shown(one)) for one in (card, before))
    return bool(theirs) and len(ours & theirs) >= SAME_WORDS * len(theirs)


def _shown(card: Card) -> list[RowKey]:
    shown = card.representatives
    return [] if shown is None else [row.key for row in (shown.medoid, *shown.central)]


def answered(asked: Sequence[Card], told: Sequence[Card]) -> list[Card]:
    """``told``, but with the former commentary of ``asked`` where a model failed this time."""
    return [_answered(before, card) for before, card in zip(asked, told, strict=True)]


def _answered(before: Card, card: Card) -> Card:
    former, now = before.commentary, card.commentary
    if former is None or not former.model or now is None or now.model:
        return card
    note = f"asked again in vain: {now.trouble}"
    return replace(card, commentary=replace(former, notes=(*former.notes, note)))


def with_commentary(cards: Sequence[Card], told: Sequence[Card], keys: Keys) -> list[Card]:
    """``cards`` with the commentary of ``told``, one for one; ``keys``: of rows that there are."""
    there = set(np.asarray(keys).tolist())
    return [
        replace(card, commentary=still(one.commentary, there))
        for card, one in zip(cards, told, strict=True)
    ]


def still(said: Commentary | None, there: set[RowKey]) -> Commentary | None:
    """Without citations of rows that are gone, and without claims that nothing else shows."""
    if said is None:
        return None
    claims = [Claim(c.text, tuple(key for key in c.cited if key in there)) for c in said.unusual]
    return replace(
        said,
        unusual=tuple(
            claim
            for claim, before in zip(claims, said.unusual, strict=True)
            if claim.cited or not before.cited
        ),
        cited=tuple(key for key in said.cited if key in there),
    )
