"""Clusters, and models that speak of them, for the tests of the commentary.

``ScriptedChat`` is a ``Chat`` in memory: what it says is a function of the question, and it keeps
answers as a chat with a cache does. ``sensible`` is such a function: a model that does its work.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Lock
from typing import Any

import numpy as np

from vdbcluster.config.commentary import CommentarySettings
from vdbcluster.model.cards import Card, Keyword, Representatives, Shown, Sibling
from vdbcluster.pipeline.commentary import Commented, Commenting, commented
from vdbcluster.ports.chat import Answer, ChatUsage, Question

Script = Callable[[Question], str]
_HANDLE = re.compile(r"^(r\d+): (.*)$", re.MULTILINE)


class ScriptedChat:
    """``Chat`` whose answers are scripted; a script may raise what a chat may raise."""

    description = "a script"
    model = "script-1"

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[Question] = []
        self.kept: dict[tuple[str, str], str] = {}
        self.usage = ChatUsage()
        self._lock = Lock()

    def tokens(self, question: Question) -> int:
        return (len(question.system) + len(question.user)) // 2

    def knows(self, question: Question) -> bool:
        return (question.system, question.user) in self.kept

    def ask(self, question: Question) -> Answer:
        key = (question.system, question.user)
        with self._lock:
            told = self.usage
            if key in self.kept:
                self.usage = replace(told, cached=told.cached + 1)
                return Answer(self.kept[key], cached=True)
            self.asked.append(question)
            text = self.script(question)
            self.kept[key] = text
            self.usage = replace(
                told,
                questions=told.questions + 1,
                prompt_tokens=told.prompt_tokens + 10,
                answer_tokens=told.answer_tokens + 1,
            )
            return Answer(text, 10, 1)

    def forget(self, question: Question) -> None:
        self.kept.pop((question.system, question.user), None)

    def close(self) -> None:
        """Nothing waits."""


class English:
    """``LanguageDetector`` by a fixed code for each text."""

    description = "fixed"

    def __init__(self, *codes: str) -> None:
        self.codes = codes or ("en",)

    def detect(self, texts: Sequence[str | None]) -> Any:
        codes = [self.codes[i % len(self.codes)] for i in range(len(texts))]
        return np.array(codes, object)


class Watching:
    """``Observer`` that keeps warnings, and the steps of each stage."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.stages: dict[str, tuple[int, int]] = {}

    def stage(self, name: str, total: int | None, unit: str = "rows") -> _Stage:
        return _Stage(self, name, total or 0)

    def note(self, text: str) -> None:
        """Not kept."""

    def warn(self, text: str) -> None:
        self.warnings.append(text)


class _Stage:
    def __init__(self, owner: Watching, name: str, total: int) -> None:
        self.owner, self.name, self.total, self.done = owner, name, total, 0

    def __enter__(self) -> _Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self.owner.stages[self.name] = (self.done, self.total)

    def advance(self, rows: int) -> None:
        self.done += rows

    def detail(self, text: str) -> None:
        """Not kept."""


def card(
    number: int,
    topic: str,
    texts: Sequence[str] | None = None,
    *,
    size: int = 0,
    siblings: Sequence[int] = (),
    words: Sequence[str] = (),
) -> Card:
    """A cluster about ``topic``, whose rows have the keys ``topic-0``, ``topic-1`` ..."""
    said = texts if texts is not None else [f"{topic} text {i} of many" for i in range(8)]
    rows = [Shown(f"{topic}-{i}", text) for i, text in enumerate(said)]
    shown = None
    if rows:
        shown = Representatives(rows[0], tuple(rows[:4]), (), tuple(rows[4:7]), tuple(rows[7:]))
    return Card(
        id=number,
        size=size or 100 - number,
        keywords=tuple(Keyword(word, 1.0, 5, 0.5, 0.0) for word in (topic, *words)),
        representatives=shown,
        siblings=tuple(Sibling(one, 0.5, (topic,)) for one in siblings),
    )


def said(name: str, **more: Any) -> str:
    """An answer about a cluster, good but for what ``more`` says."""
    answer = {
        "name": name,
        "description": f"What people write on {name}.",
        "cites": ["r1", "r2"],
        "perspective": f"Views on {name}.",
        "unusual": [{"text": "One text stands out.", "cites": ["r3"]}],
        "interestingness": 85,
    }
    return json.dumps({**answer, **more}, ensure_ascii=False)


def keywords_in(question: Question) -> list[str]:
    """The keywords that a question about a cluster tells."""
    found = re.search(r"<<<KEYWORDS \w+\n(.*)\n", question.user)
    return found[1].split(", ") if found else []


def texts_in(question: Question) -> dict[str, str]:
    """The texts of a question about a cluster, by handle."""
    return dict(_HANDLE.findall(question.user))


def sensible(question: Question) -> str:
    """Names a cluster by its first keyword; of two clusters prefers the later in the alphabet."""
    if question.name == "comparison":
        a, b = re.findall(r"^name: (.*)$", question.user, re.MULTILINE)
        return json.dumps({"because": "of its name", "more": "A" if a > b else "B"})
    return said(keywords_in(question)[0])


def commenting(chat: Any, workers: int = 1, **settings: Any) -> Commenting:
    return Commenting(chat, CommentarySettings(**settings), English(), workers)


TOPICS = ("boats", "cars", "trains", "planes", "bikes")
CARDS = [card(i, topic, siblings=[(i + 1) % 5]) for i, topic in enumerate(TOPICS)]


def run(
    script: Script, cards: list[Card] | None = None, workers: int = 1, **settings: object
) -> tuple[Commented, ScriptedChat, Watching]:
    chat, watching = ScriptedChat(script), Watching()
    made = commenting(chat, workers, **settings)
    return commented(made, CARDS if cards is None else cards, watching), chat, watching


def by_topic(topic: str, answer: Script, otherwise: Script = sensible) -> Script:
    """``answer`` where a question is about that cluster."""

    def script(question: Question) -> str:
        about = question.name == "cluster" and keywords_in(question)[0] == topic
        return answer(question) if about else otherwise(question)

    return script
