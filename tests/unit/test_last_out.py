"""Clients that threads share: closed while somebody still connects, they leave no socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import pytest

from tests.chat_server import ChatServer
from tests.fault_server import FaultServer, vectors_of
from vdbcluster.adapters.chat.openai_api import OpenAIChat
from vdbcluster.adapters.embedding.openai_api import OpenAIEmbedder
from vdbcluster.adapters.endpoint.last_out import LastOut
from vdbcluster.config.chat import ChatSettings
from vdbcluster.config.ingest import EmbedSettings
from vdbcluster.errors import BackendError
from vdbcluster.ports.chat import Question

QUESTION = Question("naming", "Name it.", "boats", {"type": "object"}, 50)


class Connecting:
    """Connections wait until ``go`` is set; those that were made are listed."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.made: list[socket.socket] = []

    def __call__(self, *args: Any, **more: Any) -> socket.socket:
        self.begun.set()
        assert self.go.wait(60)
        self.made.append(CREATE(*args, **more))
        return self.made[-1]


CREATE = socket.create_connection


@pytest.fixture
def connecting(monkeypatch: pytest.MonkeyPatch) -> Connecting:
    held = Connecting()
    monkeypatch.setattr(socket, "create_connection", held)
    return held


@contextmanager
def an_embedder() -> Iterator[tuple[OpenAIEmbedder, Callable[[], object]]]:
    with FaultServer() as server:
        embedder = OpenAIEmbedder(EmbedSettings(model="m", base_url=server.url))
        yield embedder, lambda: embedder.embed(["a"])


@contextmanager
def a_chat() -> Iterator[tuple[OpenAIChat, Callable[[], object]]]:
    with ChatServer("boats") as server:
        chat = OpenAIChat(ChatSettings(model="m", base_url=server.base_url))
        yield chat, lambda: chat.ask(QUESTION)


@pytest.mark.parametrize("opened", [an_embedder, a_chat])
def test_closed_while_one_connects_it_leaves_no_socket(opened, connecting):
    with opened() as (client, ask), ThreadPoolExecutor(1) as pool:
        job = pool.submit(ask)
        assert connecting.begun.wait(60)
        client.close()
        connecting.go.set()
        assert job.result(60) is not None
        assert [one.fileno() for one in connecting.made] == [-1]
        with pytest.raises(BackendError, match="ended"):
            ask()


@pytest.mark.parametrize("opened", [an_embedder, a_chat])
def test_closed_when_nobody_asks_it_leaves_no_socket(opened, connecting):
    connecting.go.set()
    with opened() as (client, ask):
        with closing(client):
            ask()
            assert [one.fileno() >= 0 for one in connecting.made] == [True]
        assert [one.fileno() for one in connecting.made] == [-1]


def test_an_answer_that_comes_after_the_end_is_right(connecting):
    with FaultServer() as server, ThreadPoolExecutor(1) as pool:
        embedder = server.client()
        job = pool.submit(embedder.embed, ["a"])
        assert connecting.begun.wait(60)
        embedder.close()
        connecting.go.set()
        np.testing.assert_array_equal(job.result(60), vectors_of(["a"]))


def test_the_last_of_many_closes_and_only_after_the_end():
    closed: list[int] = []
    door = LastOut(lambda: closed.append(1))
    with door:
        pass
    assert not closed
    with door:
        with door:
            door.close()
        assert not closed
    assert closed == [1]


def test_one_who_fails_leaves_too():
    closed: list[int] = []
    door = LastOut(lambda: closed.append(1))

    def fails() -> None:
        with door:
            door.close()
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fails()
    assert closed == [1]
