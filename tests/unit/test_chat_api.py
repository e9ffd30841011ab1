"""The chat client against everything that an endpoint can do, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from tests import chat_server
from tests.chat_server import ChatServer, Reply, Script, error, limited, tokens_of
from vdbcluster.adapters.chat.openai_api import OpenAIChat
from vdbcluster.adapters.endpoint.calls import FIRST_CONTACT, WRONG_ANSWERS, Patience
from vdbcluster.adapters.endpoint.pace import Pace
from vdbcluster.config.chat import ChatSettings
from vdbcluster.errors import BackendError, BackendUnavailableError, BudgetError, UsageError
from vdbcluster.ports.chat import NoAnswerError, Question

KEY = "sk-a-very-secret-key"
PATIENCE = Patience(first_wait=0.01, longest_wait=0.05, longest_asked=5.0)
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}
GOOD = '{"name": "boats"}'
ASKED = Question("naming", "Name it.", "boats and sails", SCHEMA, 50)


class Place:
    """A scripted server and clients at it; what these were told to warn of."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.told: list[str] = []

    def serve(self, script: Script = GOOD, **wanted: Any) -> ChatServer:
        self.server = self._stack.enter_context(ChatServer(script, **wanted))
        return self.server

    def chat(self, **settings: Any) -> OpenAIChat:
        wanted = {"model": "m", "base_url": self.server.base_url, "max_attempts": 4, **settings}
        chat = OpenAIChat(ChatSettings(**wanted), KEY, self.told.append, PATIENCE)
        self._stack.callback(chat.close)
        return chat


@pytest.fixture
def place() -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(stack)


def another(number: int) -> Question:
    return replace(ASKED, user=f"question {number}")


# What mends itself

TROUBLES: dict[str, Callable[[], Reply]] = {
    "429": lambda: error(429),
    "429 with Retry-After": limited,
    "500": lambda: error(500),
    "503": lambda: error(503),
    "reset": chat_server.reset,
    "half a body": chat_server.broken,
    "a page": lambda: Reply(body=b"<html>Bad gateway</html>"),
    "a page, and says so": lambda: Reply(status=502, body=b"<html>Bad gateway</html>"),
    "no choices": lambda: Reply(body=b'{"choices": []}'),
    "an error as an answer": lambda: Reply(body=b'{"error": {"message": "overloaded"}}'),
    "a list": lambda: Reply(body=b"[]"),
    "time-out": lambda: chat_server.late(5.0),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_trouble_that_passes_is_waited_for(place, name):
    trouble = TROUBLES[name]()
    server = place.serve([trouble, trouble, GOOD])
    chat = place.chat(timeout=1.0 if name == "time-out" else 60.0, max_attempts=20)
    assert chat.ask(ASKED).text == GOOD
    assert len(server.requests) >= 3
    assert chat.usage.questions == 1


@pytest.mark.parametrize("name", TROUBLES)
def test_trouble_that_stays_is_one_line_and_ends_everything(place, name):
    server = place.serve(TROUBLES[name]())
    chat = place.chat(timeout=0.2 if name == "time-out" else 60.0)
    with pytest.raises(BackendError) as told:
        chat.ask(ASKED)
    assert not isinstance(told.value, NoAnswerError)
    assert "\n" not in str(told.value)
    assert str(told.value).startswith(f"asking m at {server.base_url}")
    with pytest.raises(type(told.value)):
        chat.ask(another(1))
    if name != "time-out":  # of which the server may have seen fewer, or see them late
        assert len(server.requests) == 4
    assert len(server.requests) <= 4


def test_wrong_answers_are_not_paid_for_without_end(place):
    server = place.serve(chat_server.broken())
    with pytest.raises(BackendError, match="no complete JSON"):
        place.chat(max_attempts=50).ask(ASKED)
    assert len(server.requests) == WRONG_ANSWERS


def test_one_thread_is_told_to_wait_and_all_wait(place, monkeypatch):
    server = place.serve([limited("0.3"), GOOD])
    held, hold = threading.Event(), Pace.hold

    def seen(pace: Pace, seconds: float) -> None:
        hold(pace, seconds)
        held.set()

    monkeypatch.setattr(Pace, "hold", seen)
    chat = place.chat(concurrency=8)
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(chat.ask, ASKED)]
        assert held.wait(60)
        jobs += [pool.submit(chat.ask, another(i)) for i in range(7)]
        assert {job.result().text for job in jobs} == {GOOD}
    assert min(server.times[1:]) - server.times[0] >= 0.3


def test_a_pause_that_is_too_long_is_not_waited_for(place):
    server = place.serve(limited("3600"))
    with pytest.raises(BackendUnavailableError, match="wants a pause of 3600 s"):
        place.chat().ask(ASKED)
    assert len(server.requests) == 1


def test_nobody_there_is_told_after_a_few_attempts(place):
    with ChatServer() as gone:
        address = gone.base_url
    place.serve()
    with pytest.raises(BackendUnavailableError, match="gave up after several attempts") as told:
        place.chat(base_url=address, max_attempts=FIRST_CONTACT + 20).ask(ASKED)
    assert "refused" in str(told.value)


def test_never_more_at_once_than_wanted(place):
    server = place.serve(GOOD, latency=0.2)
    chat = place.chat(concurrency=3)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(chat.ask, map(another, range(12))))
    assert 1 < server.most_at_once <= 3
    assert chat.usage.questions == 12


# What does not


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (error(401, "no such key"), UsageError, "the API key was refused"),
        (error(403, "not yours"), UsageError, "the API key was refused"),
        (error(404, "The model `m` does not exist", "model_not_found"), UsageError, "--chat-model"),
        (error(400, "what?"), BackendError, "failed: .*what"),
        (error(429, "no money", "insufficient_quota"), BackendError, "no money"),
    ],
)
def test_what_no_attempt_can_mend_ends_all_threads_at_once(place, reply, kind, words):
    server = place.serve(reply)
    chat = place.chat(concurrency=2)
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(chat.ask, another(i)) for i in range(40)]
        problems = [job.exception() for job in jobs]
    assert {type(problem) for problem in problems} == {kind}
    with pytest.raises(kind, match=words):
        chat.ask(ASKED)
    assert len(server.requests) <= 2


def test_the_key_is_never_shown(place):
    place.serve(key="another")  # it repeats the key that it was given
    with pytest.raises(UsageError) as told:
        place.chat().ask(ASKED)
    assert KEY not in str(told.value)
    assert "***" in str(told.value)
    assert KEY not in repr(ChatSettings(api_key=KEY))


# Questions without an answer

NONE = {
    "refused": (chat_server.refused("I cannot\nhelp."), r"the model refused: 'I cannot help\.'"),
    "filtered": (chat_server.filtered(), "filter of the endpoint took"),
    "empty": (chat_server.empty(), "the answer is empty"),
    "blank": (Reply(" \n"), "the answer is empty"),
    "none": (Reply(None), "the answer is empty"),
    "cut off": (chat_server.cut_off(), "cut off at 50 tokens$"),
    "thought only": (chat_server.cut_off(""), "needs room, see --chat-thinking"),
    "too long": (
        error(400, "This model's maximum context length is 100 tokens", "context_length_exceeded"),
        "too long for the model",
    ),
    "too large": (error(413, "Request Entity Too Large"), "too long for the model"),
    "bad words": (
        error(400, "The prompt triggered the content management policy", "content_filter"),
        "filtered the question",
    ),
}


@pytest.mark.parametrize("name", NONE)
def test_a_question_without_an_answer_is_asked_once_and_others_go_on(place, name):
    reply, words = NONE[name]
    server = place.serve([reply, GOOD])
    chat = place.chat()
    with pytest.raises(NoAnswerError, match=words) as told:
        chat.ask(ASKED)
    assert "\n" not in str(told.value)
    assert chat.ask(another(1)).text == GOOD
    assert len(server.requests) == 2
    assert chat.usage.prompt_tokens + chat.usage.answer_tokens == server.tokens


def test_a_bad_request_among_good_ones_is_its_own_trouble(place):
    place.serve([GOOD, error(400, "what?"), GOOD])
    chat = place.chat()
    chat.ask(another(1))
    with pytest.raises(NoAnswerError, match=r"refuses the question \(.*what\?"):
        chat.ask(ASKED)
    assert chat.ask(another(2)).text == GOOD


# Answers of many kinds


def test_text_in_parts_is_joined(place):
    place.serve(
        Reply(
            body=b'{"choices": [{"message": {"content": [{"type": "text", "text": "a"},'
            b' {"type": "thought"}, {"type": "text", "text": "b"}]}, "finish_reason": "stop"}]}'
        )
    )
    assert place.chat().ask(ASKED).text == "ab"


@pytest.mark.parametrize(
    "usage", ["null", "{}", '{"prompt_tokens": 0}', '{"prompt_tokens": "9"}', "7"]
)
def test_tokens_are_estimated_where_they_are_not_told(place, usage):
    choices = json.dumps([{"message": {"content": "ab " * 9}}])
    place.serve(Reply(body=f'{{"choices": {choices}, "usage": {usage}}}'.encode()))
    chat = place.chat(price_in=1, price_out=1)
    expected = chat.tokens(ASKED)
    answer = chat.ask(ASKED)
    assert answer.prompt_tokens == expected
    assert 9 <= answer.answer_tokens <= 50
    assert chat.usage.cost > 0


# Budgets


@pytest.mark.parametrize("usage", [True, False], ids=["told", "not told"])
@pytest.mark.parametrize("limit", [300, 1000, 3000])
def test_tokens_stop_before_they_are_passed_by_concurrent_questions(place, limit, usage):
    server = place.serve(Reply("x" * 120, usage=usage), latency=0.005)
    chat = place.chat(max_tokens=limit, concurrency=8)
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(chat.ask, another(i)) for i in range(200)]
        problems = [problem for job in jobs if (problem := job.exception())]
    assert {type(problem) for problem in problems} == {BudgetError}
    assert server.tokens <= limit
    if usage:
        usage_told = chat.usage
        assert usage_told.prompt_tokens + usage_told.answer_tokens == server.tokens
        assert server.tokens > 0.7 * limit - 200


def test_cost_counts_questions_and_answers_at_their_prices(place):
    server = place.serve(Reply("x" * 120), latency=0.002)
    chat = place.chat(max_cost=0.01, price_in=2.0, price_out=20.0, concurrency=4)
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(chat.ask, another(i)) for i in range(100)]
        problems = [problem for job in jobs if (problem := job.exception())]
    assert {type(problem) for problem in problems} == {BudgetError}
    answered = len(server.requests) * tokens_of("x" * 120)
    cost = (2.0 * (server.tokens - answered) + 20.0 * answered) / 1e6
    assert chat.usage.cost == pytest.approx(cost)
    assert 0.005 < cost <= 0.01
    assert "--chat-max-cost is 0.01" in str(problems[0])


def test_lost_answers_count_against_the_budget_but_not_as_spent(place):
    server = place.serve(chat_server.reset())
    chat = place.chat(max_tokens=900, max_attempts=50)
    with pytest.raises(BudgetError, match=r"0 tokens .* more in answers that got lost"):
        chat.ask(ASKED)
    assert 0 < len(server.requests) < 9
    assert chat.usage.prompt_tokens == 0


def test_a_budget_that_suffices_stops_nothing_and_no_answer_is_paid_too(place):
    server = place.serve(chat_server.cut_off("x" * 80))
    chat = place.chat(max_tokens=2000)
    for number in range(5):
        with pytest.raises(NoAnswerError):
            chat.ask(another(number))
    assert chat.usage.questions == 5
    assert chat.usage.answer_tokens == 5 * 20
    assert server.tokens == chat.usage.prompt_tokens + chat.usage.answer_tokens


# Closing


def test_closing_lets_a_request_under_way_end(place):
    server = place.serve(chat_server.late(0.3, GOOD))
    chat = place.chat(concurrency=2)
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(chat.ask, ASKED)
        while not server.times:
            threading.Event().wait(0.01)
        chat.close()
        assert job.result(60).text == GOOD
    with pytest.raises(BackendError, match="ended"):
        chat.ask(ASKED)


def test_closing_ends_those_who_wait(place):
    server = place.serve(limited("5"))
    chat = place.chat(concurrency=1)
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(chat.ask, another(i)) for i in range(4)]
        while not server.times:
            threading.Event().wait(0.01)
        chat.close()
        problems = [job.exception() for job in jobs]
    assert {type(problem) for problem in problems} == {BackendError}
    assert "ended" in str(problems[0])
    assert len(server.requests) == 1
