"""The cache of answers: what is in it costs nothing, whatever happened to who filled it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.filling import filling, killed, said_until
from vdbcluster.adapters.chat.cache import FILE, CachedChat, identity
from vdbcluster.config.chat import ChatSettings
from vdbcluster.errors import BackendUnavailableError
from vdbcluster.ports.chat import Answer, ChatUsage, NoAnswerError, Question

IDENTITY = identity(ChatSettings(model="m", base_url="http://127.0.0.1:8000/v1"))
SCHEMA = {"type": "object", "properties": {}, "required": []}
SECRET = "a very private text"


def question(text: object) -> Question:
    return Question("naming", "Name it.", str(text), SCHEMA, 50)


class Model:
    """A ``Chat`` that knows what it was asked; ``bad`` has no answer."""

    description = "a model"
    model = "m"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.closed = False

    @property
    def usage(self) -> ChatUsage:
        return ChatUsage(len(self.asked), 0, 10, 5, 0.5)

    def tokens(self, question: Question) -> int:
        return len(question.user)

    def knows(self, question: Question) -> bool:
        return False

    def ask(self, question: Question) -> Answer:
        self.asked.append(question.user)
        if "bad" in question.user:
            raise NoAnswerError("it is bad")
        if "gone" in question.user:
            raise BackendUnavailableError("nobody there")
        return Answer(f"answer to {question.user} 名前 \udc80", 10, 5)

    def forget(self, question: Question) -> None:
        pass

    def close(self) -> None:
        self.closed = True


Open = Callable[..., CachedChat]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "cache"


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def cached(folder: Path, told: list[str]) -> Iterator[Open]:
    made: list[CachedChat] = []

    def around(model: Model, wanted: str = IDENTITY) -> CachedChat:
        made.append(CachedChat(model, folder, wanted, told.append))
        return made[-1]

    yield around
    for chat in made:
        chat.close()


def test_an_answer_comes_back_as_it_was(cached):
    first = cached(Model()).ask(question("boats"))
    model = Model()
    again = cached(model)
    assert again.knows(question("boats"))
    assert again.ask(question("boats")) == Answer(first.text, cached=True)
    assert not model.asked
    assert again.usage == ChatUsage(0, 1, 10, 5, 0.5)


@pytest.mark.parametrize("text", ["bad", "gone"])
def test_what_has_no_answer_is_not_kept(cached, text):
    chat = cached(Model())
    for _ in range(2):
        with pytest.raises((NoAnswerError, BackendUnavailableError)):
            chat.ask(question(text))
    assert not chat.knows(question(text))


def test_the_order_of_a_schema_does_not_matter(cached):
    chat = cached(Model())
    chat.ask(question("boats"))
    assert chat.knows(replace(question("boats"), schema=dict(reversed(SCHEMA.items()))))


def test_questions_are_not_stored(cached, folder):
    chat = cached(Model())
    with pytest.raises(NoAnswerError):
        chat.ask(question(f"bad {SECRET}"))
    chat.ask(replace(question("boats"), system=SECRET))
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in folder.iterdir())


def test_a_password_in_the_address_is_no_part_of_the_key():
    settings = [
        ChatSettings(base_url=f"http://{user}127.0.0.1:8000/v1") for user in ("", "ann:secret@")
    ]
    assert identity(settings[0]) == identity(settings[1])


@pytest.mark.parametrize("answer", [None, b"", b"12345678", b"12345678answer", "text", 7], ids=repr)
def test_a_row_that_was_damaged_is_asked_again_and_mended(cached, folder, told, answer):
    cached(Model()).ask(question("boats"))
    with closing(sqlite3.connect(folder / FILE)) as file, file:
        file.execute("UPDATE answers SET answer = ?", (answer,))
    model = Model()
    chat = cached(model)
    assert not chat.knows(question("boats"))
    assert not chat.ask(question("boats")).cached
    assert chat.ask(question("boats")).cached
    assert model.asked == ["boats"]
    assert not told


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no database": lambda path: path.write_bytes(b"this is no database " * 1000),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:5000]),
    "somebody else's": lambda path: (path.unlink(), _foreign(path)),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "another version": lambda path: _pragma(path, "user_version=99"),
}


def _foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("CREATE TABLE answers (key, answer)")


def _pragma(path: Path, what: str) -> None:
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(f"PRAGMA {what}")


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_cache_that_cannot_be_used_is_told_in_one_line_and_loses_nothing(
    cached, folder, told, kind
):
    full = CachedChat(Model(), folder, IDENTITY, told.append)
    for number in range(200):
        full.ask(question(number))
    full.close()
    assert not told
    DAMAGE[kind](folder / FILE)
    model = Model()
    chat = cached(model)
    for number in range(200):
        assert chat.ask(question(number)).text.startswith(f"answer to {number}")
    chat.forget(question(1))
    assert chat.usage.questions == len(model.asked) > 100
    assert len(told) == 1
    assert "going on without" in told[0]
    assert str(folder / FILE) in told[0]
    assert "\n" not in told[0]


def test_a_folder_that_cannot_be_made_is_told(tmp_path, told):
    (tmp_path / "file").write_text("in the way")
    chat = CachedChat(Model(), tmp_path / "file", IDENTITY, told.append)
    assert chat.ask(question("a")).text
    assert len(told) == 1
    chat.close()


def test_closing_closes_the_model_too_and_warns_nobody(cached, told):
    model = Model()
    chat = cached(model)
    chat.close()
    assert model.closed
    assert not chat.knows(question("a"))
    assert not told


# A process that is killed

FILL = """
import sys
from pathlib import Path
from tests.unit.test_chat_cache import IDENTITY, Model, question
from vdbcluster.adapters.chat.cache import CachedChat

chat = CachedChat(Model(), Path(sys.argv[1]), IDENTITY, print)
for number in range(int(sys.argv[2]), 1_000_000, int(sys.argv[3])):
    chat.ask(question(number))
    print(number, flush=True)
"""


def test_two_processes_that_are_killed_lose_no_answer_that_they_had(cached, folder, told):
    with filling(FILL, folder, 0, 2) as even, filling(FILL, folder, 1, 2) as odd:
        had = said_until(even, 50) + said_until(odd, 50)
        had += killed(even) + killed(odd)
    model = Model()
    chat = cached(model)
    assert {number % 2 for number in had} == {0, 1}
    for number in had:
        assert chat.ask(question(number)).cached
    assert not model.asked
    assert not told
    with closing(sqlite3.connect(folder / FILE)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
