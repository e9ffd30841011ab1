"""Ids of rows over several rounds of change, by several ways of giving them.

In: vectors and classes of a set, how much changes. Out: figures by way, and their table.
Promise: all ways see the same clusterings, the same rows, the same neighbour graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

NEVER = -2
"""In the history of a row: it was not there."""


@dataclass(frozen=True)
class Changes:
    """Shares of the rows there are, in each of ``rounds``; ``seed`` draws which."""

    rounds: int
    added: float
    deleted: float
    seed: int


@dataclass(frozen=True)
class Round:
    """Which rows of the set, ascending; their clustering and neighbour graph."""

    rows: Any
    clustering: Any
    graph: Any


Way = Callable[[Any, Round, int], tuple[Any, int]]
"""From last ids of the rows (``NEVER`` for new ones), round, next id: ids and next id."""


@dataclass(frozen=True)
class Figures:
    """Means over the rounds, of the rows that were there in both clusterings compared.

    ``kept``: have the id that they had, noise included; ``kept_clustered``: of those that were in
    a cluster; ``since_first``: rows there all the time with the id of the first clustering.
    ``worst_heir``: the least that two clusters of one id had in common, as share of the larger, of
    rows in a cluster both times.
    ``flicker``: of rows in three clusterings in a row, those that changed and changed back.
    ``ami``: of the ids with the classes, ``as_found``: with the clusters as they were found, means
    over the rounds. ``ids``: ever given; ``clusters``: at the end.
    """

    kept: float
    kept_clustered: float
    since_first: float
    flicker: float
    worst_heir: float
    ami: float
    as_found: float
    ids: float
    clusters: float


def measured(
    vectors: Any, classes: Any, metric: str, changes: Changes, margins: Sequence[float]
) -> dict[str, Figures]:
    """Figures of each way."""
    rounds = [_clustered(vectors, rows, metric) for rows in _selections(len(vectors), changes)]
    ways: dict[str, Way] = {"by size": by_size, "Hungarian": hungarian, "match": matched(0.0)}
    ways |= {f"margin {margin}": matched(margin) for margin in margins}
    return {name: _figures(rounds, classes, way) for name, way in ways.items()}


def _selections(n: int, changes: Changes) -> Iterator[Any]:
    """Rows at the start and after each round, as many at the start as leave enough to add."""
    rng = np.random.default_rng(changes.seed)
    order = rng.permutation(n)
    growth = (1 + changes.added - changes.deleted) ** np.arange(changes.rounds)
    start = int(n / (1 + changes.added * growth.sum())) - changes.rounds
    present, waiting = order[:start], order[start:]
    yield np.sort(present)
    for _ in range(changes.rounds):
        add, delete = (round(share * len(present)) for share in (changes.added, changes.deleted))
        stay = rng.permutation(present)[delete:]
        present, waiting = np.concatenate([stay, waiting[:add]]), waiting[add:]
        yield np.sort(present)


def _clustered(vectors: Any, rows: Any, metric: str) -> Round:
    """As ``vdbcluster run`` does it where nothing is said."""
    import vdbcluster

    graph = vdbcluster.neighbors(vectors[rows], metric=metric)
    return Round(rows, vdbcluster.cluster(graph), graph)


def by_size(_last: Any, this: Round, next_id: int) -> tuple[Any, int]:
    """Numbered anew, the largest first."""
    labels = this.clustering.labels
    order = np.argsort(-np.bincount(labels[labels >= 0]), kind="stable")
    ids = np.append(np.argsort(order), -1)
    return ids[labels], max(next_id, len(order))


def hungarian(last: Any, this: Round, next_id: int) -> tuple[Any, int]:
    """Most rows kept, by a dense table of all pairs, however few rows a pair shares."""
    labels = this.clustering.labels
    old = np.unique(last[last >= 0])
    c = int(labels.max(initial=-1)) + 1
    both = (last >= 0) & (labels >= 0)
    table = np.zeros((len(old), c))
    np.add.at(table, (np.searchsorted(old, last[both]), labels[both]), 1)
    left, right = linear_sum_assignment(table, maximize=True)
    ids = np.full(c + 1, -1)
    ids[right] = old[left]
    new = np.flatnonzero(ids[:c] < 0)
    ids[new] = next_id + np.arange(len(new))
    return ids[labels], next_id + len(new)


def matched(margin: float) -> Way:
    """This project's way."""
    from vdbcluster.matching import match
    from vdbcluster.model.matching import Previous
    from vdbcluster.pipeline.folding import steadied

    def way(last: Any, this: Round, next_id: int) -> tuple[Any, int]:
        previous = replace(Previous.of(last, last == NEVER), next_id=next_id)
        matching = match(previous, this.clustering.labels)
        ids = matching.ids
        final, _ = steadied(this.clustering, ids, previous, this.graph, margin=margin)
        return np.append(ids, -1)[final.labels], matching.next_id

    return way


def _history(rounds: Sequence[Round], n: int, way: Way) -> Any:
    """Id of each row in each clustering, ``(rounds + 1, n)``."""
    history = np.full((len(rounds), n), NEVER, np.int64)
    last, next_id = np.full(n, NEVER, np.int64), 0
    for ids, this in zip(history, rounds, strict=True):
        ids[this.rows], next_id = way(last[this.rows], this, next_id)
        last = ids
    return history


def _figures(rounds: Sequence[Round], classes: Any, way: Way) -> Figures:
    from vdbcluster.quality.scores import agreement

    history = _history(rounds, len(classes), way)
    found = [
        agreement(this.clustering.labels, ids[this.rows])[1]
        for this, ids in zip(rounds, history, strict=True)
    ]
    there = history != NEVER
    before, after, both = history[:-1], history[1:], there[:-1] & there[1:]
    first, middle, last = history[:-2], history[1:-1], history[2:]
    three = there[:-2] & there[1:-1] & there[2:]
    always = there.all(axis=0)
    scored = [there[i] & (classes >= 0) for i in range(len(history))]
    return Figures(
        kept=_share(before == after, both),
        kept_clustered=_share(before == after, both & (before >= 0)),
        since_first=_share(history[0] == history[-1], always),
        flicker=_share((first != middle) & (first == last), three),
        worst_heir=min(_worst_heir(*pair) for pair in pairwise(history)),
        ami=float(np.mean([agreement(classes[s], history[i, s])[1] for i, s in enumerate(scored)])),
        as_found=float(np.mean(found)),
        ids=len(np.unique(history[history >= 0])),
        clusters=len(np.unique(history[-1][history[-1] >= 0])),
    )


def _worst_heir(before: Any, after: Any) -> float:
    both = (before >= 0) & (after >= 0)
    found = 1.0
    for i in np.intersect1d(before[before >= 0], after[after >= 0]):
        was, now = both & (before == i), both & (after == i)
        most = max(np.count_nonzero(was), np.count_nonzero(now))
        found = min(found, np.count_nonzero(was & now) / max(1, most))
    return found


def _share(what: Any, among: Any) -> float:
    return float(np.count_nonzero(what & among) / max(1, np.count_nonzero(among)))


HEADS = (
    "same id",
    "clustered",
    "as first",
    "flicker",
    "worst heir",
    "AMI",
    "as found",
    "ids ever",
    "clusters",
)
SHARES = ("kept", "kept_clustered", "since_first", "flicker", "worst_heir")


def head() -> str:
    return f"{'set':<14} {'ids by':<12}" + "".join(f"{name:>11}" for name in HEADS)


def lines(name: str, found: dict[str, Figures]) -> Iterator[str]:
    """One for each way; percent, but for AMI and counts."""
    for way, f in found.items():
        cells = [f"{getattr(f, share):.1%}" for share in SHARES]
        cells += [f"{f.ami:.3f}", f"{f.as_found:.3f}", f"{f.ids:.0f}", f"{f.clusters:.0f}"]
        yield f"{name:<14} {way:<12}" + "".join(f"{cell:>11}" for cell in cells)


def mean(found: Sequence[dict[str, Figures]]) -> dict[str, Figures]:
    """Of several sets, way by way; of the worst heirs the worst."""
    names = [f.name for f in fields(Figures) if f.name != "worst_heir"]
    return {
        way: Figures(
            worst_heir=min(each[way].worst_heir for each in found),
            **{
                name: float(np.mean([getattr(each[way], name) for each in found])) for name in names
            },
        )
        for way in found[0]
    }
