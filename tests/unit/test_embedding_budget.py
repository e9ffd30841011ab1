"""Budgets are never passed, and long texts are dealt with by the declared rule."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import fault_server
from tests.fault_server import FaultServer, error, tokens_of, vector_of, vectors_of
from vdbcluster.adapters.embedding.batches import slices
from vdbcluster.adapters.embedding.openai_api import OpenAIEmbedder
from vdbcluster.adapters.endpoint.tokens import (
    OVERHEAD,
    TokenEstimate,
    ceiling,
    cut,
    parts,
    plain,
)
from vdbcluster.errors import BudgetError
from vdbcluster.ports.embedder import BatchLimits, TextsRefusedError

WORDS = [f"text number {i} of a source that has many of them" for i in range(400)]


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as fake:
        yield fake


def spend(api: OpenAIEmbedder, texts: list[str], threads: int = 8) -> list[BaseException]:
    """Embed all texts in calls of ten; the errors."""
    with ThreadPoolExecutor(threads) as pool:
        jobs = [pool.submit(api.embed, texts[i : i + 10]) for i in range(0, len(texts), 10)]
        return [problem for job in jobs if (problem := job.exception())]


@pytest.mark.parametrize("told", [True, False], ids=["usage told", "usage not told"])
@pytest.mark.parametrize("limit", [100, 1000, 3000])
def test_tokens_stop_before_they_are_passed_by_concurrent_requests(limit, told):
    with FaultServer(told_usage=told, latency=0.005) as server:
        api = server.client(batch=10, max_tokens=limit)
        problems = spend(api, WORDS)
        assert {type(problem) for problem in problems} == {BudgetError}
        assert server.tokens <= limit
        if told:
            assert api.usage.tokens == server.tokens
            assert server.tokens > 0.7 * limit - 100


def test_a_budget_that_suffices_stops_nothing(server):
    total = sum(map(tokens_of, WORDS))
    api = server.client(batch=10, max_tokens=total + 300)
    assert not spend(api, WORDS)
    assert api.usage.tokens == server.tokens == total


def test_cost_stops_and_says_what_was_spent(server):
    api = server.client(batch=10, max_cost=0.001, price=1.0)
    problems = spend(api, WORDS, threads=2)
    usage = api.usage
    assert usage.cost == pytest.approx(usage.tokens / 1e6)
    assert usage.cost <= 0.001
    told = str(problems[0])
    assert "--max-cost is 0.001" in told
    assert "higher limit goes on from there" in told
    assert "\n" not in told


def test_a_server_that_counts_otherwise_than_we_do_is_bounded_by_bytes():
    """One token for each byte is the most that any tokenizer makes."""
    with FaultServer() as server:
        server.told_usage = False

        def by_the_byte(answer: fault_server.Answer) -> fault_server.Answer:
            taken = sum(len(text) for text in server.requests[-1]["input"])
            billed.append(taken)
            return {**answer, "usage": {"total_tokens": taken}}

        billed: list[int] = []
        server.script = [by_the_byte] * 100
        api = server.client(batch=10, max_tokens=5000)
        problems = spend(api, WORDS, threads=1)
        assert {type(problem) for problem in problems} == {BudgetError}
        assert 4000 < sum(billed) <= 5000


def test_lost_answers_count_against_the_budget_but_not_as_spent(server):
    server.script = [fault_server.reset()] * 4
    api = server.client(batch=10, max_tokens=60)
    with pytest.raises(BudgetError, match=r"0 tokens .* more in answers that got lost"):
        api.embed(["a short text"])
    assert api.usage.tokens == 0
    assert 0 < len(server.requests) < 4


def test_refused_requests_cost_nothing(server):
    server.script = [error(500), error(429)]
    api = server.client(batch=10, max_tokens=60)
    api.embed(["a short text"])
    assert api.usage.tokens == server.tokens


# Long texts

LONG = " ".join(f"word{i}" for i in range(400))
JAPANESE = "日本語の長い文章" * 200


def test_a_long_text_is_a_fault_unless_said_otherwise(server):
    with pytest.raises(TextsRefusedError, match=r"text 2 of 3 .*--long-texts can truncate") as told:
        server.client(batch=10, max_text_tokens=100).embed(["a", LONG, "b"])
    np.testing.assert_array_equal(told.value.vectors, vectors_of(["a", "b"]))
    assert server.requests[0]["input"] == ["a", "b"]


@pytest.mark.parametrize("text", [LONG, JAPANESE])
def test_truncated_is_the_start_up_to_a_word(server, text):
    api = server.client(batch=10, max_text_tokens=100, long_texts="truncate")
    vectors = api.embed(["a", text, "b"])
    sent = server.requests[0]["input"][1]
    assert text.startswith(sent)
    assert 80 <= plain(sent) <= 100
    if text == LONG:
        assert text[len(sent)] == " "
    np.testing.assert_array_equal(vectors, vectors_of(["a", sent, "b"]))
    assert (api.usage.shortened, api.usage.texts) == (1, 3)


@pytest.mark.parametrize("text", [LONG, JAPANESE])
def test_split_is_the_weighted_mean_of_all_parts(server, text):
    api = server.client(batch=10, max_text_tokens=100, long_texts="split", prefix="p: ")
    vectors = api.embed(["a", text, "b"])
    sent = [t for r in server.requests for t in r["input"]][1:-1]
    bare = [t.removeprefix("p: ") for t in sent]
    assert "".join(bare).replace(" ", "") == text.replace(" ", "")
    assert max(map(plain, sent)) <= 100
    mean = np.average(vectors_of(sent), axis=0, weights=[plain(t) for t in bare])
    np.testing.assert_allclose(vectors[1], mean / np.linalg.norm(mean), atol=1e-6)
    np.testing.assert_array_equal(vectors[[0, 2]], vectors_of(["p: a", "p: b"]))
    assert (api.usage.shortened, api.usage.texts) == (1, 3)


@pytest.mark.parametrize("rule", ["fault", "truncate", "split"])
def test_a_text_that_the_server_finds_too_long_is_dealt_with_alike(rule):
    with FaultServer(max_text_tokens=60) as server:
        api = server.client(batch=10, long_texts=rule)
        texts = ["a", "b", LONG, "c", "d"]
        if rule == "fault":
            with pytest.raises(TextsRefusedError, match="maximum context length is 60") as told:
                api.embed(texts)
            assert set(told.value.faults) == {2}
            np.testing.assert_array_equal(told.value.vectors, vectors_of(["a", "b", "c", "d"]))
            return
        vectors = api.embed(texts)
        np.testing.assert_array_equal(
            np.delete(vectors, 2, axis=0), vectors_of(["a", "b", "c", "d"])
        )
        assert np.linalg.norm(vectors[2]) == pytest.approx(1, abs=1e-6)
        assert api.usage.shortened == 1
        again = server.client(batch=10, long_texts=rule).embed([LONG])
        np.testing.assert_array_equal(again[0], vectors[2])  # whatever it comes with


def test_a_request_that_is_too_large_as_a_whole_is_halved():
    with FaultServer(max_request_tokens=40) as server:
        api = server.client(batch=10)
        texts = WORDS[:10]
        np.testing.assert_array_equal(api.embed(texts), vectors_of(texts))
        assert api.usage.shortened == 0


def test_413_without_a_word_is_halved_too(server):
    server.script = [fault_server.html(413), fault_server.html(413)]
    np.testing.assert_array_equal(server.client(batch=10).embed(WORDS[:8]), vectors_of(WORDS[:8]))
    assert [len(r["input"]) for r in server.requests] == [8, 4, 2, 2, 4]


def test_a_server_that_refuses_any_length_does_not_go_on_for_ever(server):
    server.faults = lambda: error(400, message="maximum context length is 8192 tokens")
    with pytest.raises(TextsRefusedError):
        server.client(batch=10, long_texts="split").embed(["a text", LONG])
    assert len(server.requests) < 30


# The estimate

texts = st.text(max_size=300)


@given(texts)
def test_estimates_are_at_least_one_and_at_most_the_bytes(text):
    count = TokenEstimate()
    assert 1 <= count.likely(text) <= ceiling(text) == len(text.encode("utf8", "surrogatepass")) + 8
    assert plain(text) <= count.bound([text]) <= ceiling(text)


@given(texts, st.integers(2, 40))
def test_parts_hold_everything_and_no_more_than_is_allowed(text, limit):
    made = list(parts(text, limit))
    assert "".join("".join(made).split()) == "".join(text.split())
    assert all(plain(part) <= limit or len(part) == 1 for part in made)
    assert all(part.strip() for part in made)


@given(texts.filter(bool), st.integers(2, 40))
def test_a_cut_text_is_the_longest_start_but_for_a_word(text, limit):
    kept = cut(text, limit)
    assert kept
    assert text.startswith(kept)
    assert plain(kept) <= limit or len(kept) == 1


def test_the_estimate_learns_what_answers_say():
    count = TokenEstimate()
    text = "an ordinary sentence about embeddings, of fourteen words or so, nothing special"
    before = count.likely(text), count.bound([text])
    assert before[0] > plain(text)
    assert before[1] == ceiling(text)
    count.learn([text], plain(text) // 2)
    assert count.likely(text) < plain(text)
    assert plain(text) < count.bound([text]) < before[1]
    count.learn([text], plain(text) * 3)
    assert count.bound([text]) == ceiling(text)


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("The quick brown fox jumps over the lazy dog.", 10, 14),
        ("機械学習を用いた文章の分類", 13, 24),
        ("1234567890", 4, 10),
        ("{'a': [1, 2, 3]}", 8, 16),
    ],
)
def test_the_plain_estimate_of_some_texts(text, least, most):
    assert least <= plain(text) <= most


@given(
    st.lists(st.integers(1, 50), max_size=60),
    st.integers(1, 10),
    st.integers(1, 100),
)
def test_slices_are_all_texts_in_order_within_the_limits(tokens, most_texts, most_tokens):
    limits = BatchLimits(most_texts, most_tokens)
    made = list(slices(tokens, limits))
    assert [i for part in made for i in range(len(tokens))[part]] == list(range(len(tokens)))
    for part in made:
        held = tokens[part]
        assert 1 <= len(held) <= most_texts
        assert len(held) == 1 or sum(held) <= most_tokens


def test_the_overhead_is_room_for_what_servers_add():
    assert len(["<s>", "query", ":", "</s>"]) <= OVERHEAD


def test_a_vector_is_that_of_the_text(server):
    np.testing.assert_array_equal(server.client(batch=10).embed(["x"]), [vector_of("x")])
