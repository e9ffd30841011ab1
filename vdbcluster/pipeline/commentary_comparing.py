"""Which clusters bring more than others, by asking a model about pairs of them.

In: cards with commentary, pairs of them. Out: ``Compared``. Promise: each pair is asked in both
orders, and counts only if both have an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vdbcluster.commentary.answers import COMPARE_SCHEMA, CompareAnswer, Faulty, parsed
from vdbcluster.commentary.ranking import Pair
from vdbcluster.commentary.templates import Prompts
from vdbcluster.commentary.untrusted import folded
from vdbcluster.commentary.wording import Wording, of_pair
from vdbcluster.model.cards import Card
from vdbcluster.pipeline.commentary_asking import Form, Interviewer, interview
from vdbcluster.pipeline.flow import in_order
from vdbcluster.ports.observer import Observer

COMPARE_FORM = Form("comparison", COMPARE_SCHEMA, 250)


@dataclass(frozen=True, slots=True)
class Compared:
    """``won[a, b]``: games that a won against b, each direction of every pair that was answered.

    ``contradictory``: pairs whose answer went by the order; ``unanswered``: pairs without both.
    """

    won: Mapping[Pair, int]
    contradictory: int
    unanswered: int


def compared(
    asking: Interviewer,
    prompts: Prompts,
    cards: Mapping[str, Card],
    pairs: Sequence[Pair],
    workers: int,
    observer: Observer,
) -> Compared:
    """Ask about all ``pairs`` of ``cards``."""

    def winner(order: Pair) -> str | None:
        a, b = order
        wording = of_pair(prompts, cards[a], cards[b])
        said = interview(asking, prompts, COMPARE_FORM, wording, _read).value
        return None if said is None else (a if said.more == "A" else b)

    orders = [order for a, b in pairs for order in ((a, b), (b, a))]
    with observer.stage("comparing clusters", len(orders), "questions") as progress:
        winners = []
        for one in in_order(winner, orders, workers):
            winners.append(one)
            progress.advance(1)
    return _counted(pairs, zip(winners[::2], winners[1::2], strict=True))


def _counted(pairs: Sequence[Pair], winners: Iterable[tuple[str | None, str | None]]) -> Compared:
    won: dict[Pair, int] = {}
    contradictory = unanswered = 0
    for (a, b), both in zip(pairs, winners, strict=True):
        if None in both:
            unanswered += 1
            continue
        won[a, b], won[b, a] = both.count(a), both.count(b)
        contradictory += won[a, b] == won[b, a]
    return Compared(won, contradictory, unanswered)


def _read(text: str, wording: Wording) -> CompareAnswer | Faulty:
    said = parsed(text, CompareAnswer)
    if isinstance(said, CompareAnswer) and any(code in folded(text) for code in wording.codes):
        return Faulty(("it repeats the code of the data",))
    return said
