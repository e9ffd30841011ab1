"""``--commentary`` as a person meets it: names in the catalogue, and nothing is paid for twice."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chat_server import ChatServer, Reply, Request
from tests.integration.test_commentary_api import asked
from tests.integration.test_explain_cli import WORDS, command, labelled
from tests.unit.commentary_worlds import sensible
from vdbcluster.errors import RefusedError, UsageError

__all__ = ["command", "labelled"]
Command = Callable[..., Any]
pytestmark = pytest.mark.parametrize("backend", ["lite-file"], indirect=True)
TEXT = ("--text-field", "headline")


def answer(request: Request) -> str | Reply:
    return sensible(asked(request))


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(answer) as made:
        yield made


@pytest.fixture
def how(server: ChatServer, tmp_path: Path) -> tuple[str, ...]:
    cache = ("--chat-cache", str(tmp_path / "cache"))
    return ("--commentary", "--chat-base-url", server.base_url, "--chat-model", "m", *cache)


def test_names_go_to_the_catalogue_and_are_not_paid_for_twice(
    labelled: dict[str, Any], command: Command, server: ChatServer, how: tuple[str, ...]
) -> None:
    command("clusters", "rename", "1", "by hand")
    with pytest.raises(UsageError, match=r"\d+ questions to m .* pass --yes"):
        command("explain", "last", *TEXT, *how)
    assert not server.requests
    told = command("explain", "last", *TEXT, *how, "--yes", "--json")
    questions = len(server.requests)
    facts = told["explain"]["commentary"]
    assert facts["usage"]["questions"] == questions
    assert facts["told_by_model"] == len(WORDS)
    names = {card["id"]: card["commentary"]["name"] for card in told["cards"]}
    assert len(set(names.values())) == len(WORDS)
    kept = {e["id"]: e for e in command("clusters", "list", "--json")["clusters"]}
    assert {i: e["name"] for i, e in kept.items()} == names | {1: "by hand"}
    assert all(entry["description"] for entry in kept.values())
    shown = command("clusters", "show", "0")
    assert names[0] in shown
    assert re.search(r"said by +m\n", shown)

    again = command("explain", "last", *TEXT, *how, "--yes")
    assert len(server.requests) == questions
    assert f"0 questions ({questions} kept from before)" in again
    without = command("explain", "last", *TEXT, "--json")
    assert {card["id"]: card["commentary"]["name"] for card in without["cards"]} == names


def test_a_run_explains_when_it_is_told_to(
    labelled: dict[str, Any], command: Command, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VDBCLUSTER__EXPLAIN__COMMENTARY", "true")
    monkeypatch.setenv("VDBCLUSTER__CHAT__BASE_URL", server.base_url)
    monkeypatch.setenv("VDBCLUSTER__CHAT__CACHE", "none")
    told = command("run", "--min-cluster-size", "10", *TEXT, "--yes", "--explain", "--json")
    assert told["facts"]["explain"]["commentary"]["told_by_model"] == len(WORDS)
    assert told["state"] == "written"
    assert all(e["name"] for e in command("clusters", "list", "--json")["clusters"])


@pytest.mark.slow
def test_dense_groups_are_named_and_ranked(
    labelled: dict[str, Any], command: Command, server: ChatServer, how: tuple[str, ...]
) -> None:
    size = ("--max-cluster-size", "60", "--no-distinct", "--n-groups", "3")
    with pytest.raises(UsageError, match="pass --yes"):
        command("dense", *TEXT, *size, *how)
    found = command("dense", *TEXT, *size, *how, "--yes", "--json")
    assert 0 < len(found["groups"]) <= 3
    assert all(group["commentary"]["model"] == "m" for group in found["groups"])
    assert all(group["name"] == group["commentary"]["name"] for group in found["groups"])


def test_a_model_that_is_away_costs_the_commentary_and_nothing_else(
    labelled: dict[str, Any], command: Command, tmp_path: Path
) -> None:
    with pytest.raises(Exception, match=r"127\.0\.0\.1:9") as away:
        command(
            *("explain", "last", *TEXT, "--commentary", "--yes", "--chat-attempts", "1"),
            *("--chat-base-url", "http://127.0.0.1:9/v1", "--chat-cache", str(tmp_path / "c")),
        )
    assert not isinstance(away.value, RefusedError)
    assert all(e["keywords"] for e in command("clusters", "list", "--json")["clusters"])
