"""How the card of a cluster looks on a terminal.

In: ``Card``. Out: pairs of a name and a line. Promise: one line each, of texts that rows hold only
what is seen; what was not looked at is not told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from vdbcluster.model.cards import Card, Claim, Commentary, Keyword, Representatives, Shown
from vdbcluster.model.lines import one_line

WIDTH = 110
ROWS = 3
"""Rows of each kind that are shown; JSON has all of them."""
Pairs = Iterator[tuple[str, str]]


def card_pairs(card: Card) -> Pairs:
    """Everything but size and name, which whoever shows the card knows better."""
    if card.commentary is not None:
        yield from _commentary(card.commentary)
    if card.keywords:
        yield "keywords", ", ".join(map(_keyword, card.keywords))
    if card.representatives is not None:
        yield from _representatives(card.representatives)
    yield from _siblings(card)
    yield from _copies(card)
    yield from _odd(card)
    yield from _features(card)


def _keyword(word: Keyword) -> str:
    return f"{word.term} ({word.share:.0%})"


def _listed(name: str, lines: Iterable[str]) -> Pairs:
    """The name beside the first line alone."""
    for number, line in enumerate(lines):
        yield "" if number else name, line


def _representatives(shown: Representatives) -> Pairs:
    seen = {shown.medoid.key}
    yield "medoid", _row(shown.medoid)
    for name, rows in (
        ("central", shown.central),
        ("dense", shown.dense),
        ("diverse", shown.diverse),
        ("border", shown.border),
    ):
        fresh = [row for row in rows if row.key not in seen][:ROWS]
        seen |= {row.key for row in fresh}
        yield from _listed(name, map(_row, fresh))


def _row(row: Shown) -> str:
    return f"{row.key}" if row.text is None else f"{row.key}: {one_line(row.text, WIDTH)}"


def _siblings(card: Card) -> Pairs:
    if not card.siblings:
        return
    yield "next to", ", ".join(f"{s.id} ({s.cosine:.2f})" for s in card.siblings)
    nearest = card.siblings[0]
    if nearest.words:
        yield f"unlike {nearest.id}", ", ".join(nearest.words)


def _copies(card: Card) -> Pairs:
    if not card.n_duplicates:
        return
    yield "duplicates", f"{card.n_duplicates:,} of {card.size:,} rows say what another says"
    for found in card.copies[:ROWS]:
        yield "", f"{len(found.others) + 1} {found.kind}: {_row(found.kept)}"


def _odd(card: Card) -> Pairs:
    if not card.n_outliers:
        return
    yield "outliers", f"{card.n_outliers:,} rows hardly belong anywhere"
    for row in card.odd[:ROWS]:
        yield "", f"{_row(Shown(row.key, row.text))} ({row.reason})"


def _features(card: Card) -> Pairs:
    if card.features is None:
        return
    told = [effect["told"] for effect in card.features.get("features", ())]
    yield from _listed("fields", told or [card.features.get("reason") or "none tells it apart"])


def _commentary(said: Commentary) -> Pairs:
    if said.description:
        yield "what it is", said.description
    yield from _listed("unusual", map(_claim, said.unusual))
    if said.interestingness is not None:
        yield "interest", f"{said.interestingness} of 100"
    if said.unique:
        yield "unique", said.unique
    yield "said by", said.model or f"keywords ({said.trouble})"


def _claim(claim: Claim) -> str:
    cited = f" ({', '.join(map(str, claim.cited))})" if claim.cited else ""
    return claim.text + cited


def headline(cards: Sequence[Card], cluster: int) -> str:
    """What a table says of a cluster: its name, if a model gave one, and its keywords."""
    card = next((card for card in cards if card.id == cluster), None)
    if card is None:
        return "-"
    name = card.commentary.name if card.commentary is not None and card.commentary.model else ""
    return ": ".join(filter(None, (name, ", ".join(card.terms)))) or "-"
