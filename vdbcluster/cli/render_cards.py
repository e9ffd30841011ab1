"""How the card of a cluster looks on a terminal.

In: ``Card``. Out: pairs of a name and a line. Promise: one line each, of texts that rows hold only
what is seen; what was not looked at is not told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from vdbcluster.cli.render_features import feature_lines
from vdbcluster.model.cards import Card, Claim, Commentary, Keyword, Representatives, Shown
from vdbcluster.model.lines import one_line

WIDTH = 110
ROWS = 3
"""Rows of each kind that are shown; JSON has all of them."""
FIELDS = 2
"""That stand for the keywords of a cluster without texts."""
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


def inner_pairs(cards: Iterable[Card], *, whole: bool) -> Pairs:
    """Clusters within one: a line each, or all of their cards."""
    for card in cards:
        told = "" if whole else f": {headline(card)}"
        yield "within", f"{card.path}, {card.size:,} rows{told}"
        if whole:
            yield from card_pairs(card)


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
        yield from _listed(name, _rows(fresh))


def _rows(rows: Sequence[Shown]) -> list[str]:
    """A line each; one for all where there are but keys to show."""
    if rows and all(row.text is None for row in rows):
        return [", ".join(map(_row, rows))]
    return [_row(row) for row in rows]


def _row(row: Shown) -> str:
    return f"{row.key}" if row.text is None else f"{row.key}: {one_line(row.text, WIDTH)}"


def _siblings(card: Card) -> Pairs:
    if not card.siblings:
        return
    yield "next to", ", ".join(f"{s.called} ({s.cosine:.2f})" for s in card.siblings)
    nearest = card.siblings[0]
    if nearest.words:
        yield f"unlike {nearest.called}", ", ".join(nearest.words)


def _copies(card: Card) -> Pairs:
    if not card.n_duplicates:
        return
    yield "duplicates", f"{card.n_duplicates:,} of {card.size:,} rows say what another says"
    for found in card.copies[:ROWS]:
        yield "", f"{len(found.others) + 1} {found.kind}: {_row(found.kept)}"


def _odd(card: Card) -> Pairs:
    if not card.n_outliers:
        return
    rows = "1 row is" if card.n_outliers == 1 else f"{card.n_outliers:,} rows are"
    yield "outliers", f"{rows} or may be out of place"
    for row in card.odd[:ROWS]:
        yield "", f"{_row(Shown(row.key, row.text))} ({row.reason})"


def _features(card: Card) -> Pairs:
    if card.features is not None:
        yield from _listed("fields", feature_lines(card.features))


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


def headline(card: Card) -> str:
    """What a table says of a cluster: the name that a model gave, its keywords; or its fields."""
    name = card.commentary.name if card.commentary is not None and card.commentary.model else ""
    told = ", ".join(card.terms) or "; ".join(_told_fields(card)[:FIELDS])
    return ": ".join(filter(None, (name, told))) or "-"


def _told_fields(card: Card) -> list[str]:
    return [effect["told"] for effect in (card.features or {}).get("features", ())]


def in_order(cards: Sequence[Card]) -> Iterator[Card]:
    """The largest first, each followed by those within it."""
    for card in sorted(cards, key=lambda card: (-card.size, card.id)):
        if not card.path:
            yield card
            yield from (inner for inner in cards if inner.path and inner.id == card.id)


def copies_pairs(told: Mapping[str, Any]) -> Pairs:
    """Numbers of duplicates and outliers, as a record has them."""
    if (found := told.get("duplicates")) is not None:
        yield (
            "duplicates",
            f"{found['surplus']:,} rows could go: {found['exact_rows']:,} rows in "
            f"{found['exact_sets']:,} sets of equal ones, {found['near_rows']:,} in "
            f"{found['near_sets']:,} of near ones",
        )
    if (odd := told.get("outliers")) is not None:
        yield "outliers", f"{odd['outliers']:,}, and {odd['potential_outliers']:,} potential ones"


def unique_pairs(cards: Iterable[Card]) -> Pairs:
    """The clusters that bring a perspective of their own."""
    for card in cards:
        if card.commentary is not None and card.commentary.unique:
            said = card.commentary
            yield f"unique {card.called}", f"{said.name}: {said.unique}"


def commentary_pairs(told: Mapping[str, Any] | None) -> Pairs:
    """What the language model was asked and what it took."""
    if told is None:
        return
    used = told["usage"]
    cost = f", {used['cost']:,.2f} by the prices given" if used["cost"] else ""
    yield (
        "commentary",
        f"{told['told_by_model']} of {told['clusters']} clusters by {told['chat']}: "
        f"{used['questions']:,} questions ({used['cached']:,} kept from before), "
        f"{used['prompt_tokens']:,} tokens and {used['answer_tokens']:,} of answers{cost}",
    )
    yield from _listed("", [f"{i}: {why}" for i, why in list(told["failed"].items())[:ROWS]])
    if told["unanswered_pairs"]:
        yield "", f"{told['unanswered_pairs']:,} comparisons had no usable answer"
