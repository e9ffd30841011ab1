"""``dense``: the densest small groups of a collection.

In: ``Settings``, an observer. Out: ``Dense``. Promise: nothing is written to the database; files
only where they are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vdbcluster.adapters.group_files import GroupRow, MemberRow, write_groups
from vdbcluster.config.settings import Settings
from vdbcluster.errors import RefusedError, UsageError
from vdbcluster.model.cards import Commentary
from vdbcluster.pipeline.commentary import Commenting, commented
from vdbcluster.pipeline.commentary_forecast import forecast
from vdbcluster.pipeline.copies import text_field, texts_of
from vdbcluster.pipeline.dense import Group, Words, dense_rows, ranked, told
from vdbcluster.pipeline.explain import Agree
from vdbcluster.pipeline.recipe import wanted_neighbors
from vdbcluster.ports import Observer
from vdbcluster.wiring.commenting import open_commenting
from vdbcluster.wiring.evaluation import find_graph, read_rows
from vdbcluster.wiring.explaining import tokenizer_of
from vdbcluster.wiring.main_job import open_bench


@dataclass(frozen=True, slots=True)
class Dense:
    """``groups`` the best first; ``copies``: rows left out because others say the same.

    ``unlisted``: groups that are less dense than these. ``text_field``: empty if there is none.
    """

    collection: str
    rows: int
    copies: int
    neighbors: str
    text_field: str
    groups: tuple[Group, ...]
    unlisted: int

    def to_json(self) -> dict[str, Any]:
        names = ("collection", "rows", "copies", "neighbors", "text_field", "unlisted")
        return {name: getattr(self, name) for name in names} | {
            "groups": [group.to_json() for group in self.groups]
        }


def dense(settings: Settings, observer: Observer, *, agree: Agree = lambda _: True) -> Dense:
    """List the groups of the collection that ``settings`` name.

    ``agree`` is asked what a commentary may take, if there is to be one. Raises ``UsageError`` if
    there are too few rows for a group, or too few neighbours.
    """
    with ExitStack() as stack:
        # A wrong key or prompt is told before a row is read.
        asked = settings.explain.commentary
        commenting = stack.enter_context(open_commenting(settings, observer)) if asked else None
        found = _found(settings, observer)
        if commenting is None or not found.groups:
            return replace(found, groups=ranked(found.groups, None))
        said = _judged(commenting, found.groups, agree, observer)
        return replace(found, groups=ranked(found.groups, said))


def _judged(
    commenting: Commenting, groups: Sequence[Group], agree: Agree, observer: Observer
) -> dict[int, Commentary]:
    """What a language model says of each group, by the id of its card."""
    cards = [group.card for group in groups]
    if not agree(forecast(commenting, cards)):
        raise RefusedError("not confirmed; the language model was not asked")
    told = commented(commenting, cards, observer)
    return {card.id: card.commentary for card in told.cards if card.commentary is not None}


def _found(settings: Settings, observer: Observer) -> Dense:
    """The groups before anybody has judged them."""
    wanted = settings.dense
    with open_bench(settings, observer) as bench:
        copies_in = text_field(settings, bench.source.found) if wanted.distinct else ""
        rows = read_rows(bench)
        if len(rows) < wanted.min_cluster_size:
            raise UsageError(
                f"{len(rows)} rows are too few for a group of {wanted.min_cluster_size} "
                "(--min-cluster-size)"
            )
        subject = find_graph(bench, rows, _neighbors(settings, len(rows)))
        texts = texts_of(bench.source, rows.keys, copies_in) if copies_in else None
        with observer.stage("groups", len(rows)) as progress:
            found = dense_rows(rows.keys, subject.graph, subject.points, settings, texts)
            progress.advance(len(rows))
        field = settings.run.text_field or bench.source.found.text_field() or ""
        words = Words(bench.source, field, tokenizer_of(settings.explain))
        groups = told(found, words, settings, observer)
        name = bench.source.found.name
    return Dense(
        collection=name,
        rows=len(rows),
        copies=found.copies,
        neighbors=subject.engine,
        text_field=field,
        groups=tuple(groups),
        unlisted=found.unlisted,
    )


def save(found: Dense, folder: Path, name: str) -> tuple[Path, ...]:
    """The groups as CSV, Markdown and JSON; see ``adapters.group_files``."""
    return write_groups([_row(group) for group in found.groups], folder, name)


def _neighbors(settings: Settings, n_rows: int) -> int:
    """Enough of them for core distances."""
    found, asked = wanted_neighbors(settings, n_rows), settings.dense.min_samples
    if settings.neighbors.n_neighbors != "auto" and found < asked:
        raise UsageError(
            f"n_neighbors is {found}, below min_samples {asked}; the core distance needs at least "
            "that many neighbours"
        )
    if asked >= n_rows:
        raise UsageError(f"{n_rows} rows have no {asked} neighbours each (--min-samples)")
    return max(found, asked)


def _row(group: Group) -> GroupRow:
    members = tuple(
        MemberRow(str(one.key), one.text, medoid=place == 0)
        for place, one in enumerate(group.members)
    )
    return GroupRow(group.name, group.density, group.persistence, members, group.interestingness)
