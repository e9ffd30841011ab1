"""The local model, and what ``open_embedder`` makes of the settings."""

from __future__ import annotations

import builtins
import logging
from typing import Any

import numpy as np
import pytest

from tests.fault_server import KEY, FaultServer, vector_of
from vdbcluster.adapters.embedding import open_embedder
from vdbcluster.adapters.embedding.local import DIM, LocalEmbedder
from vdbcluster.adapters.endpoint.address import KEY_VARIABLE
from vdbcluster.config.ingest import EmbedSettings
from vdbcluster.errors import UsageError
from vdbcluster.ports.embedder import TextsRefusedError


@pytest.fixture(scope="module")
def local() -> LocalEmbedder:
    pytest.importorskip("wordllama", reason="the extra 'local' is not installed")
    return LocalEmbedder()


def test_the_local_model_knows_likeness_and_needs_no_network(local, monkeypatch):
    def refuse(*_: Any) -> None:
        raise AssertionError("the local embedder opened a connection")

    monkeypatch.setattr("socket.socket.connect", refuse)
    fresh = LocalEmbedder()
    cat, kitten, socket_ = fresh.embed(["a cat", "a small kitten", "open a TCP socket"])
    assert fresh.embed(["a cat"]).shape == (1, DIM)
    assert cat @ kitten > cat @ socket_
    np.testing.assert_allclose(np.linalg.norm(cat), 1, rtol=1e-5)


def test_the_local_model_does_not_depend_on_the_batch(local):
    texts = ["read a file", "write bytes to a stream", "parse XML", "x", "long " * 5000]
    together = local.embed(texts)
    np.testing.assert_array_equal(together, [local.embed([t])[0] for t in texts])


def test_the_local_model_is_the_package_s_own(local):
    wordllama = pytest.importorskip("wordllama")
    from pathlib import Path

    model = wordllama.WordLlama.load(
        cache_dir=Path(wordllama.__file__).parent, dim=DIM, disable_download=True
    )
    texts = ["read a file", "日本語のテキスト", "a much longer text about XML and its parsers"]
    np.testing.assert_allclose(local.embed(texts), model.embed(texts, norm=True), atol=1e-6)


def test_a_text_of_a_million_words_is_averaged_in_slices(local):
    much, little = local.embed(["cats and dogs " * 100_000, "cats and dogs " * 100])
    assert much @ little > 0.999


def test_texts_without_words_are_refused_and_the_others_are_not_lost(local):
    with pytest.raises(TextsRefusedError, match="text 2 of 4 cannot be embedded: it is empty") as e:
        local.embed(["fine", "", "good", " \n"])
    assert set(e.value.faults) == {1, 3}
    np.testing.assert_array_equal(e.value.vectors, local.embed(["fine", "good"]))


def test_the_local_model_leaves_logging_alone(local, monkeypatch):
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    LocalEmbedder()
    assert (root.level, list(root.handlers)) == before


def test_without_the_extra_there_is_a_clear_line(monkeypatch):
    true_import = builtins.__import__

    def no_wordllama(name: str, *rest: Any, **more: Any) -> Any:
        if name == "wordllama":
            raise ImportError(name)
        return true_import(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", no_wordllama)
    with pytest.raises(UsageError, match=r"pip install 'vdbcluster\[local\]'"):
        open_embedder(EmbedSettings(embedder="local"))


def test_the_official_endpoint_needs_a_key(monkeypatch, tmp_path):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    cache = tmp_path / "cache"
    with pytest.raises(UsageError, match=KEY_VARIABLE):
        open_embedder(EmbedSettings(cache=cache))
    assert not cache.exists()
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    embedder = open_embedder(EmbedSettings(cache=cache))
    assert KEY not in embedder.description
    embedder.close()


@pytest.mark.parametrize("given", ["setting", "environment"])
def test_the_key_is_a_setting_or_in_the_environment(monkeypatch, given):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    if given == "environment":
        monkeypatch.setenv(KEY_VARIABLE, f"{KEY}\n")
    with FaultServer() as server:
        settings = EmbedSettings(
            base_url=server.url, cache=None, api_key=KEY if given == "setting" else ""
        )
        assert KEY not in repr(settings)
        embedder = open_embedder(settings)
        np.testing.assert_array_equal(embedder.embed(["a"]), [vector_of("a")])
        assert server.requests[0]["auth"] == f"Bearer {KEY}"
        embedder.close()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"base_url": "127.0.0.1:8000/v1"}, "must begin with http"),
        ({"base_url": "http:///v1"}, "must begin with http"),
        ({"base_url": "http://127.0.0.1:99999/v1"}, "no valid port"),
        ({"base_url": "http://127.0.0.1/v1/embeddings"}, "ends before /embeddings"),
        ({"max_cost": 1.0}, "--embed-price"),
        ({"max_text_tokens": 2, "prefix": "passage: "}, "no room beside the prefix"),
        ({"api_key": "schlüssel"}, "characters that no key has"),
        ({"api_key": "sk-a\nb"}, "characters that no key has"),
    ],
)
def test_wrong_settings_are_told_before_anything_is_sent(wrong, message):
    fine = {"base_url": "http://127.0.0.1:8000/v1", "cache": None}
    with pytest.raises(UsageError, match=message) as told:
        open_embedder(EmbedSettings(**{**fine, **wrong}))
    assert "\n" not in str(told.value)
    assert "schl" not in str(told.value)


def test_an_address_is_shown_without_its_password():
    address = "https://user:secret@example.org:8443/v1?key=secret"
    embedder = open_embedder(EmbedSettings(base_url=address, model="m", cache=None))
    assert embedder.description == "m at https://example.org:8443/v1"
    embedder.close()
