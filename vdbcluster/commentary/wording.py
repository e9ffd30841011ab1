"""Questions about clusters, put into words.

In: cards, prompts. Out: ``Wording``: what a model is told to do, and the data.
Promise: the same card gives the same words, to the letter. Neither ids, keys nor cosines are in
them, sizes are rounded, and neighbours are told by their words, not by the names that a
model gave them: one answer never makes another question. All data is fenced, whatever the prompt
files say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from vdbcluster.commentary.checks import CLAIMS, NAME, SENTENCE
from vdbcluster.commentary.excerpts import Excerpt
from vdbcluster.commentary.templates import (
    CLUSTER_SYSTEM,
    CLUSTER_USER,
    COMPARE_SYSTEM,
    COMPARE_USER,
    NAMES_USER,
    REPAIR_USER,
    Prompts,
)
from vdbcluster.commentary.untrusted import code_for, fenced, plain
from vdbcluster.model.cards import Card, Commentary

TERM = 60
"""Characters of a keyword."""
SHOWN_ANSWER = 4_000


@dataclass(frozen=True, slots=True)
class Wording:
    """``codes``: those of the fences; an answer must not have them."""

    system: str
    user: str
    codes: tuple[str, ...]


def of_cluster(
    prompts: Prompts,
    card: Card,
    shown: Sequence[Excerpt],
    neighbours: Sequence[str],
    language: str,
) -> Wording:
    """What is a cluster about? ``neighbours`` as ``neighbour_lines`` makes them."""
    keywords = [_told_terms(card.terms)] if card.terms else []
    texts = [f"{one.handle}: {one.text}" for one in shown]
    code = code_for([*keywords, *texts, *neighbours])
    system = prompts.filled(
        CLUSTER_SYSTEM,
        language=language,
        name_length=NAME,
        sentence_length=SENTENCE,
        most_claims=CLAIMS,
    )
    user = prompts.filled(
        CLUSTER_USER,
        size=rounded(card.size),
        keywords=fenced("KEYWORDS", keywords, code),
        texts=fenced("TEXTS", texts, code),
        neighbours=fenced("NEIGHBOURS", neighbours, code),
    )
    return Wording(system, user, (code,))


def neighbour_lines(card: Card, cards: Mapping[str, Card], most: int) -> list[str]:
    """A line for each of the nearest; ``cards`` by what they are called.

    The order of siblings does not count, nor that of the words of each.
    """
    lines = set()
    for sibling in card.siblings[:most]:
        other = cards.get(sibling.called)
        theirs = _told_terms(other.terms if other else ())
        ours = _told_terms(sibling.words)
        if theirs or ours:
            lines.add(f"{theirs} -> {ours}" if ours else theirs)
    return sorted(lines)


def with_other_name(prompts: Prompts, asked: Wording, name: str, others: Sequence[str]) -> Wording:
    """The same again, since other clusters have that name or one much like it."""
    code = code_for([asked.user, name, *others])
    more = prompts.filled(
        NAMES_USER,
        name=fenced("NAME", [name], code),
        others=fenced("NAMES", sorted(set(others)), code),
    )
    return _longer(asked, more, code)


def with_repair(prompts: Prompts, asked: Wording, answer: str, faults: Sequence[str]) -> Wording:
    """The same again, with the answer and what is wrong with it."""
    lines = [plain(answer, SHOWN_ANSWER) or "(nothing)"]
    told = [f"- {plain(fault, 200)}" for fault in faults[:10]]
    code = code_for([asked.user, *lines, *told])
    more = prompts.filled(
        REPAIR_USER,
        answer=fenced("ANSWER", lines, code),
        faults=fenced("FAULTS", told, code),
    )
    return _longer(asked, more, code)


def _longer(asked: Wording, more: str, code: str) -> Wording:
    return replace(asked, user=f"{asked.user}\n\n{more}", codes=(*asked.codes, code))


def of_pair(prompts: Prompts, a: Card, b: Card) -> Wording:
    """Which of two clusters brings more? Both have a commentary."""
    ours, theirs = list(_told(a)), list(_told(b))
    code = code_for(sorted([*ours, *theirs]))
    user = prompts.filled(COMPARE_USER, a=fenced("A", ours, code), b=fenced("B", theirs, code))
    return Wording(prompts.filled(COMPARE_SYSTEM), user, (code,))


def _told(card: Card) -> Iterator[str]:
    said = card.commentary or Commentary("", "")
    yield f"name: {said.name}"
    yield f"description: {said.description}"
    yield f"perspective: {said.perspective}"
    for claim in said.unusual:
        yield f"unusual: {claim.text}"
    yield f"keywords: {_told_terms(card.terms)}"


def _told_terms(terms: Iterable[str]) -> str:
    """In the order of the alphabet: their ranks change with every text anywhere."""
    return ", ".join(sorted(plain(term, TERM) for term in terms))


def rounded(size: int) -> int:
    """To two digits: a few rows more or less do not make another question."""
    step: int = 10 ** max(0, len(str(size)) - 2)
    return round(size / step) * step
