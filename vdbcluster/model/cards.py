"""What an analyst reads of one cluster: its card.

In: what the stages found. Out: ``Card``, frozen, with plain values, and the same as JSON and back.
Promise: ``Card.from_json(card.to_json())`` is equal to ``card``; one that cannot be read is one
clear line. Texts are those of rows, as they are: whoever prints them makes them printable.

    Card(id=7, size=120, keywords=(Keyword("shipping", 4.2, 31, 0.62, 0.01),)).to_json()
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from vdbcluster.errors import VdbclusterError
from vdbcluster.model.catalogue import RowKey


@dataclass(frozen=True, slots=True)
class Keyword:
    """``score``: by the way chosen, comparable within a cluster alone. ``members``: rows of the
    cluster that have the term, ``share`` of it; ``elsewhere``: the share of all other rows.
    """

    term: str
    score: float
    members: int
    share: float
    elsewhere: float


@dataclass(frozen=True, slots=True)
class Shown:
    """A row that is shown: its key, and its text if it has one."""

    key: RowKey
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Odd:
    """A row that hardly belongs anywhere; ``score`` in [0, 1], ``reason`` one line."""

    key: RowKey
    score: float
    reason: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Copies:
    """Rows that say the same; ``kept``: the one to keep. ``kind``: see ``duplicates.result``."""

    kind: str
    kept: Shown
    others: tuple[RowKey, ...]


@dataclass(frozen=True, slots=True)
class Sibling:
    """One of the nearest other clusters. ``cosine`` of the centroids about the mean of all rows.

    ``words``: what the cluster has and this sibling has not, the most telling first. ``path``: of
    one within a cluster.
    """

    id: int
    cosine: float
    words: tuple[str, ...] = ()
    path: str = ""

    @property
    def called(self) -> str:
        return self.path or str(self.id)


@dataclass(frozen=True, slots=True)
class Representatives:
    """The rows that show a cluster, each list the best first; see ``explain.representatives``."""

    medoid: Shown
    central: tuple[Shown, ...] = ()
    dense: tuple[Shown, ...] = ()
    diverse: tuple[Shown, ...] = ()
    border: tuple[Shown, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement about a cluster and the members that show it; ``cited`` are checked to exist."""

    text: str
    cited: tuple[RowKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Commentary:
    """What a language model says of a cluster.

    ``name``; ``description``: one sentence; ``unusual``: what is odd in it. ``interestingness`` 0
    to 100 by the rubric of the prompt, None where it was not judged. ``unique``: why it brings a
    perspective that no other cluster has, empty if it is not among those that do. ``model``: whose
    words they are; empty where the model failed and name and description are made of keywords, and
    then ``trouble`` says why. ``perspective``: what its neighbours do not tell. ``notes``: what of
    the answer was left out, and why.
    """

    name: str
    description: str
    unusual: tuple[Claim, ...] = ()
    cited: tuple[RowKey, ...] = ()
    interestingness: int | None = None
    unique: str = ""
    model: str = ""
    trouble: str = ""
    perspective: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """One cluster. ``path``: of a cluster within another, such as ``3/1``; else empty.

    ``features``: as ``pipeline.features.card_features``, None where fields were not looked at.
    ``n_duplicates``: members that could go, as ``copies`` (the largest sets) tell;
    ``n_outliers``: members that are outliers or potential ones, the first of them in ``odd``.
    Both are None where nobody looked.
    """

    id: int
    size: int
    path: str = ""
    keywords: tuple[Keyword, ...] = ()
    representatives: Representatives | None = None
    siblings: tuple[Sibling, ...] = ()
    copies: tuple[Copies, ...] = ()
    n_duplicates: int | None = None
    odd: tuple[Odd, ...] = ()
    n_outliers: int | None = None
    features: Mapping[str, Any] | None = field(default=None)
    commentary: Commentary | None = None

    def inside(self, cluster: int, path: str) -> Card:
        """The card of an inner cluster, whose own numbers count among its siblings alone."""
        beside = path.rpartition("/")[0]
        near = tuple(replace(s, id=cluster, path=f"{beside}/{s.id}") for s in self.siblings)
        return replace(self, id=cluster, path=path, siblings=near)

    def with_rest_of(self, before: Card | None) -> Card:
        """With the fields and the commentary of an earlier card, where this one has none."""
        if before is None:
            return self
        return replace(
            self,
            features=before.features if self.features is None else self.features,
            commentary=self.commentary or before.commentary,
        )

    @property
    def called(self) -> str:
        """What tells it from every other: its path, else its id."""
        return self.path or str(self.id)

    @property
    def terms(self) -> tuple[str, ...]:
        """The keywords as texts."""
        return tuple(word.term for word in self.keywords)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> Card:
        """The same card; ``VdbclusterError`` if it is none."""
        try:
            return _reader().validate_python(value)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise VdbclusterError(f"a card cannot be read: {place}: {first['msg']}") from error


@dataclass(frozen=True, slots=True)
class Explanation:
    """The cards that one run has; ``run_id`` empty and no cards where no run was explained."""

    run_id: str = ""
    cards: tuple[Card, ...] = ()

    def get(self, cluster: int) -> Card | None:
        """That of a whole cluster."""
        return next((card for card in self.cards if card.id == cluster and not card.path), None)

    def within(self, cluster: int) -> tuple[Card, ...]:
        """Those of the clusters within it."""
        return tuple(card for card in self.cards if card.id == cluster and card.path)


@cache
def _reader() -> TypeAdapter[Card]:
    return TypeAdapter(Card)
