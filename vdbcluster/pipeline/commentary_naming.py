"""What each cluster is about, in the words of a model, no two clusters by one name.

In: ``Subject``s, an ``Interviewer``. Out: a ``Named`` for each, by what its card is called.
Promise: all are asked by themselves first; names come into a question only where two say the same,
and then the smaller cluster of the two is asked again, once; a name or description that is from one
text or few alone is asked for again without them, so that none of them names a cluster. Which
questions are asked does not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from vdbcluster.commentary.answers import CLUSTER_SCHEMA, ClusterAnswer, Faulty, parsed
from vdbcluster.commentary.checks import NAME, Given, checked
from vdbcluster.commentary.excerpts import Excerpt
from vdbcluster.commentary.names import alike, lifted
from vdbcluster.commentary.templates import Prompts
from vdbcluster.commentary.untrusted import folded, plain
from vdbcluster.commentary.wording import Wording, of_cluster, with_other_name
from vdbcluster.model.cards import Card, Commentary
from vdbcluster.pipeline.commentary_asking import Form, Interviewer, Outcome, interview
from vdbcluster.pipeline.flow import in_order
from vdbcluster.ports.observer import Observer

CLUSTER_FORM = Form("cluster", CLUSTER_SCHEMA, 1200)
LEFT_OUT = 2
"""Times that texts of a cluster may be left out."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A cluster that a model is asked about; ``neighbours``: lines that tell of its siblings."""

    card: Card
    shown: tuple[Excerpt, ...]
    neighbours: tuple[str, ...]


_Task = tuple[Subject, Commentary, Sequence[str]]
"""A cluster, what was said of it, and names that it must not have."""


@dataclass(frozen=True, slots=True)
class Named:
    """``commentary`` None where there is ``trouble``."""

    commentary: Commentary | None = None
    trouble: str = ""
    repaired: bool = False
    renamed: bool = False


@dataclass(frozen=True, slots=True)
class Naming:
    """Who is asked, and how; ``model``: whose words they are."""

    asking: Interviewer
    prompts: Prompts
    language: str
    model: str
    workers: int

    def first(self, subject: Subject) -> Named:
        """A cluster by itself."""
        shown, repaired = subject.shown, False
        notes: tuple[str, ...] = ()
        for _ in range(LEFT_OUT + 1):
            outcome = self._interview(shown, self._wording(subject, shown))
            repaired = repaired or outcome.repaired
            if outcome.value is None:
                return Named(trouble=outcome.trouble, repaired=repaired)
            sources = _sources(outcome.value, shown, subject.card)
            if not sources:
                told = replace(outcome.value, notes=(*notes, *outcome.value.notes))
                return Named(told, repaired=repaired)
            shown = tuple(one for one in shown if one not in sources)
            rows = ", ".join(plain(repr(one.key), NAME) for one in sources)
            notes = (*notes, f"left out, since no other text had named the cluster: {rows}")
        return Named(trouble="the model took its name from few texts each time", repaired=repaired)

    def again(self, task: _Task) -> Named:
        """The same cluster with another name than ``others``; else with the one that it has."""
        subject, before, others = task
        first = self._wording(subject, subject.shown)
        wording = with_other_name(self.prompts, first, before.name, others)
        outcome = self._interview(subject.shown, wording)
        if outcome.value is None or _sources(outcome.value, subject.shown, subject.card):
            why = outcome.trouble or "it is from few texts alone"
            note = f"no other name was found: {plain(why, 200)}"
            return Named(replace(before, notes=(*before.notes, note)), repaired=outcome.repaired)
        name = outcome.value.name
        return Named(replace(before, name=name), repaired=outcome.repaired, renamed=True)

    def _wording(self, subject: Subject, shown: Sequence[Excerpt]) -> Wording:
        return of_cluster(self.prompts, subject.card, shown, subject.neighbours, self.language)

    def _interview(self, shown: Sequence[Excerpt], wording: Wording) -> Outcome[Commentary]:
        read = partial(self._read, shown)
        return interview(self.asking, self.prompts, CLUSTER_FORM, wording, read)

    def _read(self, shown: Sequence[Excerpt], text: str, wording: Wording) -> Commentary | Faulty:
        said = parsed(text, ClusterAnswer)
        if isinstance(said, Faulty):
            return said
        return checked(said, Given(shown, wording.codes), self.model)


def _sources(said: Commentary, shown: Sequence[Excerpt], card: Card) -> tuple[Excerpt, ...]:
    """The few texts that the name, the description or the perspective is from, if that is so."""
    for saying in (said.name, said.description, said.perspective):
        if found := lifted(saying, shown, card.terms):
            return found
    return ()


def named(naming: Naming, subjects: Sequence[Subject], observer: Observer) -> dict[str, Named]:
    """Every subject by what its card is called."""
    found: dict[str, Named] = {}
    with observer.stage("asking about clusters", len(subjects), "clusters") as progress:
        answers = in_order(naming.first, subjects, naming.workers)
        for subject, one in zip(subjects, answers, strict=True):
            found[subject.card.called] = one
            progress.advance(1)
    said = {each: one.commentary for each, one in found.items() if one.commentary}
    by_rank = sorted(
        (one for one in subjects if one.card.called in said),
        key=lambda one: (-one.card.size, one.card.called),
    )
    tasks = _clashes(by_rank, said)
    if tasks:
        with observer.stage("telling names apart", len(tasks), "clusters") as progress:
            answers = in_order(naming.again, tasks, naming.workers)
            for (subject, _, _), one in zip(tasks, answers, strict=True):
                before = found[subject.card.called]
                found[subject.card.called] = replace(one, repaired=one.repaired or before.repaired)
                progress.advance(1)
    return _told_apart(by_rank, found)


def _clashes(by_rank: Sequence[Subject], said: Mapping[str, Commentary]) -> list[_Task]:
    """Clusters whose name a larger one has, or a larger sibling one like it; with those names."""
    beside = _siblings([one.card for one in by_rank])
    by_name: dict[str, list[str]] = {}
    tasks: list[_Task] = []
    larger: set[str] = set()
    for subject in by_rank:
        called = subject.card.called
        mine = said[called]
        equal = by_name.setdefault(folded(mine.name), [])
        near = beside[called] & larger
        if equal or any(alike(mine.name, said[one].name) for one in near):
            names = sorted({said[one].name for one in (*near, *equal)})
            tasks.append((subject, mine, names))
        equal.append(called)
        larger.add(called)
    return tasks


def _siblings(cards: Sequence[Card]) -> dict[str, set[str]]:
    """Of each cluster those that are its siblings, or whose sibling it is."""
    found: dict[str, set[str]] = {card.called: set() for card in cards}
    for card in cards:
        for sibling in card.siblings:
            if sibling.called in found:
                found[card.called].add(sibling.called)
                found[sibling.called].add(card.called)
    return found


def _told_apart(by_rank: Sequence[Subject], found: Mapping[str, Named]) -> dict[str, Named]:
    """A name that still is that of a larger cluster gets a keyword, or its number, behind it."""
    told, taken = dict(found), set[str]()
    for subject in by_rank:
        one = told[subject.card.called]
        if one.commentary is None:
            continue
        name = _free(one.commentary.name, subject.card, lambda name: folded(name) not in taken)
        taken.add(folded(name))
        told[subject.card.called] = replace(one, commentary=replace(one.commentary, name=name))
    return told


def _free(name: str, card: Card, is_free: Callable[[str], bool]) -> str:
    if is_free(name):
        return name
    for word in (*card.terms, card.called):
        ending = f" ({plain(word, NAME // 2)})"
        longer = plain(name, NAME - len(ending)) + ending
        if folded(word) not in folded(name) and is_free(longer):
            return longer
    return f"{plain(name, NAME - 24)} ({card.called})"
