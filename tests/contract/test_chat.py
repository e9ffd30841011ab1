"""What the commentary relies on, of every chat: the API client, alone and with the cache around it,
on the scripted server, and on a real model in a process of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chat_server import ChatServer, Request, said
from tests.llama_server import llama_server
from vdbcluster.adapters.chat import open_chat
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.errors import BackendError, BudgetError, UsageError
from vdbcluster.ports.chat import Answer, Chat, NoAnswerError, Question

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 60}},
    "required": ["name"],
    "additionalProperties": False,
}


def question(topic: str = "boats, sails, harbours", **changes: Any) -> Question:
    made = Question(
        name="naming",
        system="You name groups of texts. Answer in JSON.",
        user=f"The words of the group: {topic}. Its name?",
        schema=SCHEMA,
        max_tokens=60,
    )
    return replace(made, **changes)


def answering(request: Request) -> dict[str, str]:
    """A name made of the topic, which no other topic gives."""
    return {"name": said(request).split("group: ")[1].split(".")[0].upper()}


Open = Callable[..., Chat]


class World:
    """An endpoint, and how to open chats at it; ``cached``: whether they keep their answers."""

    def __init__(self, base_url: str, stack: ExitStack, cache: Path | None) -> None:
        self._base_url = base_url
        self._stack = stack
        self._cache = cache
        self.cached = cache is not None

    def open(self, **settings: Any) -> Chat:
        """A chat at the endpoint, closed when the test is over."""
        return self._stack.enter_context(closing(open_chat(self.settings(**settings).chat)))

    def settings(self, **changes: Any) -> Settings:
        wanted = {"base_url": self._base_url, "model": "m", "cache": self._cache or "none"}
        return load_settings({"chat": {**wanted, **changes}})


@pytest.fixture(scope="module")
def scripted() -> Iterator[str]:
    with ChatServer(answering) as server:
        yield server.base_url


@pytest.fixture(scope="module")
def real() -> Iterator[str]:
    with llama_server() as base_url:
        yield base_url


KEEPING = ("scripted, cached", pytest.param("real, cached", marks=pytest.mark.slow))


@pytest.fixture(params=["scripted", *KEEPING])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    yield from _world(request, tmp_path)


@pytest.fixture(params=KEEPING)
def keeping(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    yield from _world(request, tmp_path)


def _world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    kind, _, cached = request.param.partition(", ")
    with ExitStack() as stack:
        yield World(request.getfixturevalue(kind), stack, tmp_path / "cache" if cached else None)


def test_an_answer_is_text_with_what_it_took(world):
    chat = world.open()
    answer = chat.ask(question())
    assert set(json.loads(answer.text)) == {"name"}
    assert answer.prompt_tokens > 0
    assert answer.answer_tokens > 0
    assert not answer.cached


def test_the_question_gets_there_whole(world):
    """In the answer of the scripted server; the real one must at least take all characters."""
    topic = 'quoted "words", 日本語, {braces}, \\n, <|im_end|>, \ud800 half'
    name = json.loads(world.open().ask(question(topic)).text)["name"]
    assert isinstance(name, str)


def test_usage_is_what_was_taken(world):
    chat = world.open(price_in=2.0, price_out=10.0)
    answers = [chat.ask(question(topic)) for topic in ("cats", "dogs")]
    usage = chat.usage
    assert (usage.questions, usage.cached) == (2, 0)
    assert usage.prompt_tokens == sum(answer.prompt_tokens for answer in answers)
    assert usage.answer_tokens == sum(answer.answer_tokens for answer in answers)
    cost = (2.0 * usage.prompt_tokens + 10.0 * usage.answer_tokens) / 1e6
    assert usage.cost == pytest.approx(cost)


def test_the_estimate_errs_high(world):
    chat = world.open()
    asked = question()
    before = chat.tokens(asked)
    answer = chat.ask(asked)
    assert answer.prompt_tokens <= before
    assert answer.prompt_tokens <= chat.tokens(asked) <= before
    assert chat.tokens(question("longer " * 200)) > 200


def test_the_same_question_costs_nothing_again_if_answers_are_kept(world):
    first, asked = world.open(), question()
    assert not first.knows(asked)
    answer = first.ask(asked)
    for chat in (first, world.open()):
        assert chat.knows(asked) is world.cached
        if world.cached:
            before = chat.usage
            assert chat.ask(asked) == Answer(answer.text, cached=True)
            assert chat.usage == replace(before, cached=before.cached + 1)


@pytest.mark.parametrize(
    "change",
    [
        {"system": "You name groups of texts, in JSON."},
        {"user": "another"},
        {"name": "another"},
        {"max_tokens": 61},
        {"schema": {**SCHEMA, "description": "another"}},
    ],
)
def test_another_question_is_not_known(keeping, change):
    chat = keeping.open()
    chat.ask(question())
    assert not chat.knows(question(**change))


@pytest.mark.parametrize(
    "change",
    [
        {"model": "n"},
        {"temperature": 1.0},
        {"seed": 7},
        {"format": "text"},
        {"effort": "low"},
        {"base_url": "http://127.0.0.1:9/v1"},
    ],
)
def test_another_model_is_not_known_by_what_this_one_said(keeping, change):
    keeping.open().ask(question())
    assert not keeping.open(**change).knows(question())
    assert keeping.open(timeout=99, max_tokens=10**6, price_in=1, concurrency=2).knows(question())


def test_what_was_forgotten_is_asked_again(world):
    chat, asked = world.open(), question()
    chat.ask(asked)
    chat.forget(asked)
    chat.forget(question("never asked"))
    assert not chat.knows(asked)
    assert not chat.ask(asked).cached
    assert chat.usage.questions == 2


def test_an_answer_that_does_not_fit_is_none(world):
    chat = world.open()
    with pytest.raises(NoAnswerError, match="cut off at 2 tokens") as told:
        chat.ask(question(max_tokens=2))
    assert isinstance(told.value, BackendError)
    assert "\n" not in str(told.value)
    assert not chat.knows(question(max_tokens=2))
    assert json.loads(chat.ask(question()).text)
    assert chat.usage.questions == 2  # it took tokens as well


def test_a_question_that_would_pass_a_limit_is_not_asked(world):
    chat = world.open(max_tokens=20)
    with pytest.raises(BudgetError, match="--chat-max-tokens is 20"):
        chat.ask(question())
    assert chat.usage.questions == 0
    chat = world.open(max_cost=1e-9, price_out=1.0)
    with pytest.raises(BudgetError, match="--chat-max-cost is 1e-09"):
        chat.ask(question())


def test_threads_share_it(world):
    chat = world.open(concurrency=2)
    topics = ["cats", "dogs", "boats"]
    expected = {topic: chat.ask(question(topic)).text for topic in topics}
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda topic: chat.ask(question(topic)).text, topics * 2))
    assert made == [expected[topic] for topic in topics * 2]


def test_it_describes_itself_without_secrets(world):
    address = world.settings().chat.base_url.replace("//", "//user:secret@")
    chat = world.open(base_url=address, api_key="sk-a-secret")
    assert chat.model == "m"
    assert chat.description.startswith("m at http://127.0.0.1:")
    assert "secret" not in chat.description


def test_closed_it_answers_nothing_new(world):
    chat = world.open()
    chat.close()
    with pytest.raises(BackendError, match="ended"):
        chat.ask(question())


def test_settings_that_cannot_work_are_told_before_anything_is_sent(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for given, told in (
        ({}, "needs an API key: set OPENAI_API_KEY, or name another endpoint with --chat-base-url"),
        ({"api_key": "k", "max_cost": 1}, "--chat-max-cost needs --chat-price-in"),
        ({"base_url": "ftp://somewhere/v1"}, "--chat-base-url must begin with http"),
        ({"base_url": "http://x/v1/chat/completions"}, "ends before /chat/completions"),
        ({"api_key": "schlüssel"}, "holds characters that no key has"),
    ):
        with (
            pytest.raises(UsageError, match=told),
            closing(open_chat(load_settings({"chat": {"cache": "none", **given}}).chat)),
        ):
            pass
