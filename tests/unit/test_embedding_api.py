"""The API client over real HTTP, against a server that follows a script."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest

from tests import fault_server
from tests.fault_server import KEY, FaultServer, Reply, edited, error, vector_of, vectors_of
from vdbcluster.adapters.endpoint.calls import Patience
from vdbcluster.adapters.endpoint.trouble import wanted_pause
from vdbcluster.errors import BackendError, BackendUnavailableError, UsageError
from vdbcluster.ports.embedder import TextsRefusedError

TEXTS = ["one", "three", "seventeen", "a", "bb", "日本語", "x y z", "🙂", "nine"]


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as fake:
        yield fake


def test_texts_go_in_batches_and_come_back_in_order(server):
    api = server.client()
    vectors = api.embed(TEXTS)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, vectors_of(TEXTS))
    assert [len(r["input"]) for r in server.requests] == [4, 4, 1]
    assert {r["path"] for r in server.requests} == {"/v1/embeddings"}
    assert {r["auth"] for r in server.requests} == {f"Bearer {KEY}"}
    assert {r["encoding_format"] for r in server.requests} == {"base64"}
    assert "dimensions" not in server.requests[0]
    usage = api.usage
    assert (usage.requests, usage.retries, usage.texts) == (3, 0, 9)
    assert usage.tokens == server.tokens


def test_batches_are_bounded_by_tokens_too(server):
    texts = [letter * 400 for letter in "abcdef"]
    api = server.client(batch_tokens=300, batch=100)
    np.testing.assert_array_equal(api.embed(texts), vectors_of(texts))
    assert [len(r["input"]) for r in server.requests] == [2, 2, 2]


def test_no_texts_are_no_request(server):
    assert server.client().embed([]).shape[0] == 0
    assert not server.requests


def test_the_prefix_is_put_before_each_text(server):
    api = server.client(prefix="passage: ")
    np.testing.assert_array_equal(api.embed(["a"]), [vector_of("passage: a")])
    with pytest.raises(TextsRefusedError, match="it is empty"):
        api.embed([" "])


def test_dimensions_are_asked_for_and_checked(server):
    assert server.client(dimensions=8).embed(["a"]).shape == (1, 8)
    assert server.requests[0]["dimensions"] == 8
    with pytest.raises(BackendError, match="dimension 8, not 2"):
        server.client(dimensions=2).embed(["a"])


def test_a_server_without_base64_index_or_usage_is_understood(server):
    def plainly(answer: fault_server.Answer) -> fault_server.Answer:
        for item in answer["data"]:
            del item["index"]
        del answer["usage"]
        return answer

    api = server.client()
    server.script = [plainly, edited(lambda data: None)]
    np.testing.assert_array_equal(api.embed(TEXTS[:4]), vectors_of(TEXTS[:4]))
    np.testing.assert_array_equal(api.embed(TEXTS[4:6]), vectors_of(TEXTS[4:6]))
    assert api.usage.tokens >= server.tokens


def test_swapped_order_is_read_by_index(server):
    server.script = [fault_server.backwards()]
    np.testing.assert_array_equal(server.client().embed(TEXTS[:4]), vectors_of(TEXTS[:4]))
    assert len(server.requests) == 1


def test_retry_after_in_seconds_is_waited_for(server):
    server.script = [error(429, retry_after="0.2"), error(503, retry_after_ms="150")]
    assert len(server.client().embed(["a"])) == 1
    first, second, third = server.times
    assert second - first >= 0.2
    assert third - second >= 0.15


def test_retry_after_as_a_date_is_waited_for(server):
    when = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    server.script = [error(429, retry_after=format_datetime(when, usegmt=True))]
    assert len(server.client().embed(["a"])) == 1
    assert datetime.now(UTC) >= when


@pytest.mark.parametrize("what", ["requests", "tokens"])
def test_nothing_is_sent_before_the_rate_limit_is_reset(server, what):
    api = server.client()
    server.headers = {f"x-ratelimit-remaining-{what}": "0", f"x-ratelimit-reset-{what}": "200ms"}
    api.embed(["a"])
    server.headers = {f"x-ratelimit-remaining-{what}": "7", f"x-ratelimit-reset-{what}": "1h"}
    api.embed(["b"])
    api.embed(["c"])
    first, second, third = server.times
    assert second - first >= 0.2
    assert third - second < 60


def test_a_thread_that_is_told_to_wait_makes_the_others_wait(server):
    api = server.client()
    server.script = [error(429, retry_after="0.4", delay=0.0)]
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(api.embed, ["a"])
        while not server.times:
            time.sleep(0.005)
        time.sleep(0.1)
        rest = [pool.submit(api.embed, [letter]) for letter in "bcd"]
        assert all(len(job.result()) == 1 for job in [first, *rest])
    assert min(server.times[1:]) - server.times[0] >= 0.4


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "7", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "soon"}, 0),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "nan"}, 0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 360),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1.5s"}, 1.5),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "12"}, 12),
        ({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "12"}, 0),
        ({"x-ratelimit-remaining-requests": "0"}, 0),
    ],
)
def test_pauses_are_read_from_headers(headers, seconds):
    assert wanted_pause(headers) == pytest.approx(seconds)


def test_a_pause_that_is_too_long_is_told_at_once(server):
    server.script = [error(429, retry_after="3600")]
    with pytest.raises(BackendUnavailableError, match="wants a pause of 3600 s"):
        server.client().embed(["a"])
    assert len(server.requests) == 1


TROUBLES = {name: make for name, make in fault_server.FAULTS.items() if name != "swapped"}
TROUBLES["time-out"] = lambda: fault_server.late(1.0)
TROUBLES["wrong dimension"] = fault_server.wrong_dimension
TROUBLES["gateway page"] = lambda: fault_server.html(502)
TROUBLES["doubled index"] = lambda: edited(lambda data: data[1].update(index=0))
TROUBLES["ragged"] = lambda: edited(lambda data: data[0].update(embedding=[1.0, 2.0]))
TROUBLES["no base64"] = lambda: edited(lambda data: data[0].update(embedding="not base64!"))
TROUBLES["half a float"] = lambda: edited(lambda data: data[0].update(embedding="AAA="))
TROUBLES["null"] = lambda: edited(lambda data: data[0].update(embedding=None))
TROUBLES["no list"] = lambda: Reply(body=b'{"error": {"message": "later"}}')
TROUBLES["empty"] = lambda: Reply(body=b"")


@pytest.mark.parametrize("name", TROUBLES)
def test_what_mends_itself_is_tried_again(server, name):
    api = server.client(timeout=0.3)
    api.embed(["first"])  # the dimension is known from then on
    server.script = [TROUBLES[name](), TROUBLES[name]()]
    np.testing.assert_array_equal(api.embed(["a", "bb"]), vectors_of(["a", "bb"]))
    assert len(server.requests) == 4
    assert (api.usage.requests, api.usage.retries, api.usage.texts) == (4, 2, 3)


STAY = {
    "500": (BackendUnavailableError, "gave up after several attempts"),
    "reset": (BackendUnavailableError, "gave up after several attempts"),
    "time-out": (BackendUnavailableError, "timed out"),
    "truncated": (BackendError, "no complete JSON"),
    "html": (BackendError, "an HTML page: '<html><body>Bad gateway of a proxy"),
    "wrong count": (BackendError, "1 vectors for 2 texts"),
    "wrong dimension": (BackendError, "dimension 7, not 8"),
    "doubled index": (BackendError, "2 vectors, but not one for each text"),
    "ragged": (BackendError, "cannot be read"),
    "no list": (BackendError, "no list of embeddings but .*later"),
}


@pytest.mark.parametrize("name", STAY)
def test_what_stays_is_told_in_one_line_after_the_last_attempt(server, name):
    kind, message = STAY[name]
    api = server.client(timeout=0.1)
    api.embed(["first"])
    server.script = [TROUBLES[name]() for _ in range(9)]
    with pytest.raises(kind, match=message) as told:
        api.embed(["a", "bb"])
    assert len(server.requests) == 1 + 4
    assert KEY not in str(told.value)
    assert "\n" not in str(told.value)


def test_one_bad_vector_is_that_text_s_fault_alone(server):
    server.script = [fault_server.not_a_number(1)] * 4
    with pytest.raises(TextsRefusedError, match=r"text 2 of 3 .*NaN or infinity: 'bb'") as told:
        server.client().embed(["a", "bb", "c"])
    assert set(told.value.faults) == {1}
    np.testing.assert_array_equal(told.value.vectors, vectors_of(["a", "c"]))


def test_a_model_that_answers_zeros_alone_is_at_fault_itself(server):
    server.script = [edited(lambda data: [i.update(embedding=[0.0] * 8) for i in data])] * 4
    with pytest.raises(BackendError, match="is zero") as told:
        server.client().embed(["a", "bb", "c"])
    assert not isinstance(told.value, TextsRefusedError)


def test_texts_that_no_api_takes_are_not_sent(server):
    with pytest.raises(TextsRefusedError) as told:
        server.client().embed(["", "a", "half \ud83d of it", "b", "\t"])
    assert {0: "it is empty", 4: "it is empty"}.items() <= told.value.faults.items()
    assert "surrogate" in told.value.faults[2]
    assert server.requests[0]["input"] == ["a", "b"]
    json.dumps(str(told.value)).encode()


@pytest.mark.parametrize(
    ("trouble", "kind", "message"),
    [
        (error(400), BackendError, "no, .* does not do"),
        (error(401), UsageError, "key was refused"),
        (error(403), UsageError, "key was refused"),
        (error(404), UsageError, "no such model or address; check --embed-model"),
        (fault_server.html(404), UsageError, "no such model or address"),
        (error(402), BackendError, "failed"),
        (error(422), BackendError, "failed"),
        (error(400, message="dimensions exceeds the maximum of 8"), BackendError, "exceeds"),
        (error(429, code="insufficient_quota"), BackendError, "failed"),
    ],
)
def test_what_does_not_mend_stops_at_once_and_shows_no_key(server, trouble, kind, message):
    server.script = [trouble]
    with pytest.raises(kind, match=message) as told:
        server.client().embed(["a"])
    assert len(server.requests) == 1
    assert KEY not in str(told.value)
    assert "\n" not in str(told.value)


def test_a_dead_key_ends_all_threads(server):
    server.faults = lambda: error(401)
    server.latency = 0.02
    api = server.client(max_attempts=8)
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(api.embed, [str(i)]) for i in range(100)]
        assert all(isinstance(job.exception(), UsageError) for job in jobs)
    assert len(server.requests) <= 8


def test_threads_that_wait_to_retry_end_when_one_failed_for_good(server):
    patient = Patience(first_wait=60, longest_wait=60, longest_asked=600)
    server.script = [error(500)] * 3
    api = server.client(patience=patient, max_attempts=8)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(api.embed, [str(i)]) for i in range(3)]
        while len(server.requests) < 3:
            time.sleep(0.005)
        server.script = [error(401)]
        assert isinstance(pool.submit(api.embed, ["x"]).exception(), UsageError)
        assert {type(job.exception(timeout=10)) for job in waiting} == {UsageError}
    assert len(server.requests) == 4


def test_close_ends_those_who_wait(server):
    server.script = [error(429, retry_after="300")]
    api = server.client(patience=Patience(0.01, 0.05, 600))
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(api.embed, ["a"])
        while not server.requests:
            time.sleep(0.005)
        api.close()
        assert isinstance(job.exception(timeout=10), BackendError)
    with pytest.raises(BackendError, match="was ended"):
        api.embed(["a"])


def test_a_wrong_address_is_told_after_few_attempts():
    with FaultServer() as gone:
        pass
    api = gone.client(max_attempts=50)
    with pytest.raises(BackendUnavailableError, match=r"gave up .*refused"):
        api.embed(["a"])
    assert api.usage.requests == 3
    api.close()


@pytest.mark.parametrize("seed", range(3))
def test_ten_per_cent_of_failures_lose_and_change_nothing(server, seed):
    texts = [f"text number {i} of a source" for i in range(5000)]
    api = server.client(batch=50, max_attempts=8)
    server.faults = fault_server.random_faults(seed)
    server.latency = 0.002
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(api.embed, [texts[i : i + 50] for i in range(0, 5000, 50)]))
    np.testing.assert_array_equal(np.concatenate(parts), vectors_of(texts))
    assert api.usage.texts == 5000
    assert api.usage.requests == len(server.requests) == 100 + api.usage.retries
    assert api.usage.retries > 0


def test_requests_are_under_way_at_once(server):
    """The server answers none of eight requests before all of them have come."""
    together = threading.Barrier(8, timeout=20)

    def wait(answer: fault_server.Answer) -> fault_server.Answer:
        together.wait()
        return answer

    server.script = [wait] * 8
    api = server.client()
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(api.embed, [[str(i)] for i in range(8)]))
    np.testing.assert_array_equal(np.concatenate(parts), vectors_of([str(i) for i in range(8)]))
