"""Do clusters follow the language of the texts rather than what they are about?

In: the language of each row or of a sample, the labels, the points that were clustered. Out:
``LanguageReport``. Promise: deterministic for a seed, no I/O, cost of an exact search among at
most ``SAMPLE`` rows.

    which = rows_to_ask(len(points))
    languages = np.full(len(points), None, object)
    languages[which] = detector.detect(texts_of(which))
    language_report(languages, clustering.labels, points).told

The rule. Languages with at least ``SHARE`` of the rows asked are looked at. Clusters *follow*
language if two signs agree: the nearest neighbours of a row are of its language far more often
than chance would have it, and knowing a row's cluster tells its language (homogeneity). Where
they do, the neighbours are found once more with each language's mean direction taken out:

- ``split``: now rows find neighbours in other languages about as often as chance would have it.
  What kept them apart was the language, and ``centered_by_group`` takes it out.
- ``apart``: they still keep to their language. Either the languages are largely about different
  things (one conversation in German among English ones *is* a topic), or the model does not bring
  languages together. These two cannot be told apart here; in neither does centring help.

The border between the two is measured: of pairs of languages of FLORES sentences (nine pairs,
7 topics, of which 0 to 7 were left in both languages, 144 sets) k-means told the number of topics
gained 0.08 AMI from centring where neighbours then lay less than 0.1 above chance, broke even
between 0.1 and 0.2 (half of the topics in both), and lost 0.17 and more beyond 0.2.

What cannot be told: that rows of two languages which find each other after centring are about the
same. Their topics differ, yet so little that the model sees no more of it than of chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vdbcluster.graph.distance import prepare
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.graph.groups import UNKNOWN, centered_by_group
from vdbcluster.model.arrays import Float32Array, Int32Array, Int64Array
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.neighbors import PADDING

SAMPLE = 4000
"""Rows that suffice for the report and for the means of languages."""
N_NEIGHBORS = 10
SHARE, LEAST_ROWS = 0.05, 20
"""A language counts from this share of the rows asked, and so many of them."""
FOLLOWS = 0.5
"""Clusters follow language from half of the way between chance (0) and never leaving it (1)."""
BLENDED = 0.15
"""Languages blend up to here on that way: where centring stops to pay (see the module)."""


class LanguageVerdict(StrEnum):
    """``one``: fewer than two languages count; ``mixed``: clusters do not follow language."""

    ONE = "one"
    MIXED = "mixed"
    SPLIT = "split"
    APART = "apart"


@dataclass(frozen=True, slots=True)
class LanguageReport:
    """What the rows asked say; see the module for the rule.

    ``asked`` rows, ``determined`` of them with a language; ``shares``: of the languages that
    count among the rows asked, largest first. All else is about the rows of these languages alone:
    ``neighbors``: share of the ``N_NEIGHBORS`` nearest among them that are of the row's language;
    ``chance``: what it would be if rows lay at random; ``neighbors_centered``: with each
    language's mean direction taken out. ``ami`` of clusters with languages (noise is a cluster of
    its own), ``homogeneity`` of the clustered rows: 1 if each cluster is of one language.
    Figures are 0 where the verdict is ``one``, ``neighbors_centered`` also where it is ``mixed``.
    """

    verdict: LanguageVerdict
    asked: int
    determined: int
    shares: tuple[tuple[str, float], ...]
    neighbors: float = 0.0
    chance: float = 0.0
    neighbors_centered: float = 0.0
    ami: float = 0.0
    homogeneity: float = 0.0

    @property
    def told(self) -> str:
        """One line for the user; empty if there is nothing to say."""
        named = ", ".join(f"{name} {share:.0%}" for name, share in self.shares)
        facts = (
            f"clusters follow the language of the texts ({named}): {self.neighbors:.0%} of the "
            f"nearest neighbours share it (chance {self.chance:.0%}), homogeneity "
            f"{self.homogeneity:.2f}"
        )
        if self.verdict == LanguageVerdict.SPLIT:
            return (
                f"{facts}; with each language's mean taken out {self.neighbors_centered:.0%} "
                "would: run again with --center language"
            )
        if self.verdict == LanguageVerdict.APART:
            return (
                f"{facts}; with each language's mean taken out still "
                f"{self.neighbors_centered:.0%} would, so they seem to be largely about different "
                "things and --center language is unlikely to help"
            )
        return ""


def rows_to_ask(n_rows: int, most: int = SAMPLE, seed: int = 0) -> Int64Array:
    """Positions of at most ``most`` rows drawn without favour, ascending."""
    if n_rows <= most:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(seed).choice(n_rows, most, replace=False))


def language_report(
    languages: NDArray[Any], labels: Int64Array, points: Float32Array, seed: int = 0
) -> LanguageReport:
    """Judge ``labels (n,)`` on ``points (n, d)`` by ``languages (n,)``.

    ``languages``: codes as a ``LanguageDetector`` gives them, None for rows that were not asked.
    ``points``: as they were compared; rows of zeros are passed over. Raises ``ValueError`` if the
    lengths differ.
    """
    if not len(languages) == len(labels) == len(points):
        raise ValueError(
            f"{len(languages)} languages, {len(labels)} labels and {len(points)} points"
        )
    asked = np.flatnonzero([language is not None for language in languages])
    codes = languages[asked].astype(str)
    counted = _that_count(codes)
    shares = tuple((name, size / len(asked)) for name, size in counted)
    determined = int((codes != UNKNOWN).sum())
    if len(counted) < 2:
        return LanguageReport(LanguageVerdict.ONE, len(asked), determined, shares)
    rows = asked[np.isin(codes, [name for name, _ in counted])]
    rows = rows[rows_to_ask(len(rows), seed=seed)]
    rows = rows[points[rows].any(axis=1)]
    return _judged(
        languages[rows].astype(str), labels[rows], points[rows], (len(asked), determined, shares)
    )


def _that_count(codes: NDArray[Any]) -> list[tuple[str, int]]:
    """Languages with enough rows and how many, largest first, ties by name."""
    names, sizes = np.unique(codes, return_counts=True)
    enough = (sizes >= max(LEAST_ROWS, SHARE * len(codes))) & (names != UNKNOWN)
    found = [(str(n), int(s)) for n, s in zip(names[enough], sizes[enough], strict=True)]
    return sorted(found, key=lambda one: (-one[1], one[0]))


def _judged(
    languages: NDArray[Any],
    labels: Int64Array,
    points: Float32Array,
    seen: tuple[int, int, tuple[tuple[str, float], ...]],
) -> LanguageReport:
    # imported here, for most sets are of one language: scikit-learn takes more than a second
    from sklearn.metrics import adjusted_mutual_info_score, homogeneity_score

    chance = _chance(languages)
    kept = _share_kept(languages, prepare(points, "chord"))
    clustered = labels != NOISE
    homogeneity = float(homogeneity_score(languages[clustered], labels[clustered]))
    homogeneity *= bool(clustered.any())  # scikit-learn calls nothing at all homogeneous
    follows = min((kept - chance) / (1 - chance), homogeneity) >= FOLLOWS
    verdict, after = LanguageVerdict.MIXED, 0.0
    if follows:
        after = _share_kept(languages, centered_by_group(points, languages))
        apart = (after - chance) / (1 - chance) > BLENDED
        verdict = LanguageVerdict.APART if apart else LanguageVerdict.SPLIT
    return LanguageReport(
        verdict,
        *seen,
        neighbors=kept,
        chance=chance,
        neighbors_centered=after,
        ami=float(adjusted_mutual_info_score(languages, labels)),
        homogeneity=homogeneity,
    )


def _chance(languages: NDArray[Any]) -> float:
    """Share of the pairs of different rows that are of one language."""
    sizes = np.unique(languages, return_counts=True)[1]
    n = len(languages)
    return float((sizes * (sizes - 1)).sum() / max(1, n * (n - 1)))


def _share_kept(languages: NDArray[Any], points: Float32Array) -> float:
    everyone = np.arange(len(points))
    found, _ = exact_neighbors(points, everyone, N_NEIGHBORS, "chord")
    return share_of_own(languages, found)


def share_of_own(groups: NDArray[Any], indices: Int32Array) -> float:
    """Share of the neighbours ``indices (n, k)`` that are of the group of their row, 0 to 1."""
    found = indices != PADDING
    own = groups[indices] == groups[:, None]
    return float(own[found].mean()) if found.any() else 0.0
