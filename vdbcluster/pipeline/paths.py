"""Paths of clusters within clusters, such as ``3/1/2``: made, given stable numbers, read again.

In: levels of ``methods.recursion``, paths as they are stored. Out: paths, families of clusters.
Promise: the first number of a path is the ``cluster_id`` of its row, the stable one, whatever
people merged or a run renamed. The numbers that follow count within what they lie in: ``3/1`` and
``5/1`` have nothing to do with each other. A row that is noise within ``3`` has the path ``3``, as
has every row of a cluster that did not come apart; a row in no cluster has the empty path.

Numbers within a cluster are as stable as its own id: an inner cluster has the number of the stored
one in the same parent that it shares most rows with (``matching.match``, as for ids), a new one the
next free number. What counts as free is kept with the record of a run (``free``), so that the
number of one that ended is not given again as long as that record is there.

    made = stable_paths(ids, levels, stored_paths(keys, stored), free)
    for family in families(made.paths): ...
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vdbcluster.matching import match
from vdbcluster.model.arrays import BoolArray, Int64Array, Keys
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.labels import LabelBatch, text_of
from vdbcluster.model.manifest import RunManifest, RunState
from vdbcluster.model.matching import Previous
from vdbcluster.pipeline.aligned import placed

Paths = NDArray[np.object_]
"""``(n,)`` of ``str``."""
SEPARATOR = "/"
LEVELS = 17
"""As many as a path of ours has at most: those of method layers, or a cluster and what is in it."""
GAVE: tuple[RunState, ...] = ("writing", "written", "rolled-back")
"""States of runs that may have written the numbers that they gave, if only for a while."""
STEPS = re.compile(r"-?\d{1,18}(/-?\d{1,18})*", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class StablePaths:
    """``paths (n,)``; ``free``: of each cluster that ever came apart, by path, the number that the
    next inner cluster in it gets.
    """

    paths: Paths
    free: Mapping[str, int]


def stable_paths(
    ids: Int64Array, levels: Int64Array, former: Paths, free: Mapping[str, int]
) -> StablePaths:
    """Paths of rows with the stable ``ids (n,)``, -1 for noise, and ``levels (n, depth)``.

    ``former (n,)``: the paths that the rows have now, empty where they have none.
    """
    numbering = _Numbering(
        before=path_table(former, levels.shape[1] + 1),
        levels=levels,
        numbers=np.column_stack([ids, np.full_like(levels, NOISE)]),
        free={path: number for path, number in free.items() if number > 0},
    )
    for cluster, rows in _groups(ids):
        numbering.within(str(cluster), rows, numbering.before[rows, 0] == cluster, 1)
    return StablePaths(path_texts(numbering.numbers), numbering.free)


@dataclass(frozen=True, slots=True, eq=False)
class _Numbering:
    """``numbers (n, 1 + depth)``, filled in from the left; ``before``: as ``path_table``."""

    before: Int64Array
    levels: Int64Array
    numbers: Int64Array
    free: dict[str, int]

    def within(self, path: str, rows: Int64Array, kin: BoolArray, level: int) -> None:
        """Number what lies in the cluster ``path``; ``kin``: those of its rows that were in it."""
        if level == self.numbers.shape[1]:
            return
        inner = self.levels[rows, level - 1]
        if inner.max(initial=NOISE) == NOISE:
            return
        old = np.where(kin, self.before[rows, level], NOISE)
        now, self.free[path] = _matched(inner, old, kin, self.free.get(path, 0))
        self.numbers[rows, level] = now
        for number, at in _groups(now):
            self.within(_inner(path, number), rows[at], old[at] == number, level + 1)


def _inner(path: str, number: int) -> str:
    return f"{path}{SEPARATOR}{number}"


def _matched(
    inner: Int64Array, old: Int64Array, kin: BoolArray, free: int
) -> tuple[Int64Array, int]:
    """Stable numbers of the inner clusters ``(m,)``, and the next free one.

    ``old (m,)``: those that they had; ``kin``: rows that were in the same parent.
    """
    previous = replace(Previous.of(old, ~kin), next_id=free)
    numbers, counted = np.unique(inner, return_inverse=True)
    shift = int(numbers[0] == NOISE)
    matching = match(previous, counted - shift)
    return matching.relabelled(counted - shift), matching.next_id


def _groups(labels: Int64Array) -> Iterator[tuple[int, Int64Array]]:
    """Each cluster and the positions of its rows, ascending."""
    order = np.argsort(labels, kind="stable")
    order = order[np.searchsorted(labels[order], 0) :]
    numbers, first = np.unique(labels[order], return_index=True)
    yield from zip(numbers.tolist(), np.split(order, first[1:]), strict=False)


def path_texts(numbers: Int64Array) -> Paths:
    """``(n, l)`` to texts; what follows the first -1 of a row is left out."""
    different, inverse = np.unique(numbers, axis=0, return_inverse=True)
    texts = np.empty(len(different), object)
    for i, row in enumerate(different.tolist()):
        length = row.index(NOISE) if NOISE in row else len(row)
        texts[i] = SEPARATOR.join(map(str, row[:length]))
    return np.asarray(texts[inverse.ravel()], object)


def path_table(paths: Paths, levels: int = LEVELS) -> Int64Array:
    """Texts to ``(n, levels) int64``, -1 behind the end; a text that is no path counts as empty."""
    different: dict[str, int] = {}
    which = [different.setdefault(path or "", len(different)) for path in paths.tolist()]
    found = np.full((len(different), levels), NOISE)
    for row, path in zip(found, different, strict=True):
        if STEPS.fullmatch(path):
            steps = [int(step) for step in path.split(SEPARATOR)[:levels]]
            row[: len(steps)] = steps
    return np.asarray(found[which], np.int64)


def stored_paths(keys: Keys, stored: Iterable[LabelBatch]) -> Paths:
    """The path of each row as it is stored, empty where there is none."""
    found = np.full(len(keys), "", object)
    for at, batch in placed(keys, stored):
        found[at] = _texts(batch)
    return found


def _texts(batch: LabelBatch) -> Paths:
    return np.full(len(batch), "", object) if batch.path is None else text_of(batch.path)


def free_numbers(every: Iterable[RunManifest], begun: RunManifest) -> dict[str, int]:
    """Of each cluster by path the number that an inner one may get.

    As the runs among ``every`` recorded it that label the same rows as ``begun`` and wrote some, be
    they rolled back by now: who has seen such a number must not find another cluster under it.
    """
    free: dict[str, int] = {}
    for one in every:
        if one.state in GAVE and _same_labels(one, begun):
            for path, number in one.facts.get("recursion", {}).get("free", {}).items():
                free[path] = max(int(number), free.get(path, 0))
    return free


def _same_labels(one: RunManifest, other: RunManifest) -> bool:
    prefix, theirs = (m.settings.get("write", {}).get("label_prefix") for m in (one, other))
    return one.identity == other.identity and prefix == theirs


def voted_paths(ids: Int64Array, around: Int64Array, paths: Paths) -> Paths:
    """Paths for rows that came to the clusters ``ids (m,)``, -1 for noise, by those around them.

    ``around (m, k)``: positions in ``paths``. A row goes as far in as more than half of those of
    its neighbours agree that are in the same place so far; one at the edge stays further out.
    """
    table = path_table(paths)
    steps = np.full((len(ids), table.shape[1]), NOISE)
    steps[:, 0] = ids
    for row, near in zip(steps, around, strict=True):
        alike = table[near]
        alike = alike[(alike[:, 0] == row[0]) & (row[0] != NOISE)]
        for level in range(1, len(row)):
            numbers, votes = np.unique(alike[:, level], return_counts=True)
            if 2 * votes.max(initial=0) <= len(alike):
                break
            row[level] = numbers[np.argmax(votes)]
            if row[level] == NOISE:
                break
            alike = alike[alike[:, level] == row[level]]
    return path_texts(steps)


def moved(labels: LabelBatch, stored: Sequence[LabelBatch], into: int, free: int) -> Paths:
    """The paths of a cluster whose rows get the id ``into``: what lies in it lies in that one now.

    ``labels``: its rows, as they are in ``stored``. Its inner clusters are numbered behind those of
    the other, from ``free`` on at least. Where paths do not begin with the id of the cluster, as
    those of layers, they stay as they are.
    """
    every = [(batch.cluster_id, path_table(_texts(batch))) for batch in stored]
    if not all(_led(ids, table).all() for ids, table in every):
        return _texts(labels)
    used = [int(table[ids == into, 1].max(initial=NOISE)) for ids, table in every]
    table = path_table(_texts(labels))
    inner, had = table[:, 1] != NOISE, table[:, 0] != NOISE
    table[had, 0] = into
    table[inner, 1] += max(free, 1 + max(used, default=NOISE))
    return path_texts(table)


def _led(ids: Int64Array, table: Int64Array) -> BoolArray:
    """Rows whose path, if they have one, begins with their id."""
    return np.asarray((table[:, 0] == NOISE) | (table[:, 0] == ids))


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """A cluster that came apart, and the inner clusters that it came apart into.

    ``path``: of the cluster. ``rows (m,)``: positions of all its members, ascending; ``labels
    (m,)``: the number of the inner cluster of each within ``path``, -1 for those that are in none.
    """

    path: str
    rows: Int64Array
    labels: Int64Array

    @property
    def members(self) -> dict[str, Int64Array]:
        """The positions of the rows of each inner cluster, by its path."""
        return {self.path_of(number): self.rows[at] for number, at in _groups(self.labels)}

    def path_of(self, number: int) -> str:
        """Of an inner cluster by its number, as in ``labels``."""
        return _inner(self.path, number)


def families(paths: Paths) -> tuple[Family, ...]:
    """Every cluster that came apart, each before what lies in it, siblings by number.

    ``paths (n,)``, of a recursion or of layers; where -1 holds a place there is no cluster, and so
    no family. What tells an inner cluster from its siblings is told by the family alone:

        for family in families(plan.new.path):
            terms = vocabulary([tokens[i] for i in family.rows])
            found = keywords(terms, family.labels, points[family.rows])
            words = {family.path_of(number): some for number, some in found.items()}
    """
    table = path_table(paths)
    return tuple(
        family
        for cluster, rows in _groups(table[:, 0])
        for family in _families(table, str(cluster), rows, 1)
    )


def _families(table: Int64Array, path: str, rows: Int64Array, level: int) -> Iterator[Family]:
    labels = table[rows, level] if level < table.shape[1] else np.empty(0, np.int64)
    if labels.max(initial=NOISE) == NOISE:
        return
    yield Family(path, rows, labels)
    for number, at in _groups(labels):
        yield from _families(table, _inner(path, number), rows[at], level + 1)
