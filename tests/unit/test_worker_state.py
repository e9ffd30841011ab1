"""What a worker remembers over a restart, and what it says to probes."""

from __future__ import annotations

import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from tests.backends import free_port
from tests.listener import Listener
from vdbcluster.errors import UsageError
from vdbcluster.worker.http import application, serving
from vdbcluster.worker.reach import FRESH, Reach
from vdbcluster.worker.state import Memory, Remembered

THEN = datetime(2025, 6, 1, 3, tzinfo=UTC)
LATER = THEN + timedelta(days=1)


def test_it_remembers_what_was_dealt_with_and_the_last_success(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "news")
    assert memory.of("run") is None
    memory.keep("run", THEN, THEN)
    memory.keep("run", LATER, None)
    memory.keep("assign", THEN, None)
    again = Memory(tmp_path, "news")
    assert again.of("run") == Remembered(LATER, THEN)
    assert again.of("assign") == Remembered(THEN, None)
    assert Memory(tmp_path, "other").of("run") is None


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"run": 3}', b"\xff", b'{"run": {"x": 1}}'])
def test_what_cannot_be_read_is_as_if_it_were_not_there(tmp_path: Path, text: bytes) -> None:
    Memory(tmp_path, "news").keep("run", THEN, None)
    (file,) = tmp_path.iterdir()
    file.write_bytes(text)
    memory = Memory(tmp_path, "news")
    assert memory.of("run") is None
    memory.keep("run", LATER, None)
    assert Memory(tmp_path, "news").of("run") == Remembered(LATER, None)


def test_a_directory_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        Memory(tmp_path / "file" / "runs", "news").check()


def test_a_server_that_goes_is_noticed_but_not_asked_at_every_probe() -> None:
    now = 0.0
    with Listener() as listener:
        reach = Reach([listener.url, listener.url, "milvus.db"], lambda: now)
        assert reach.wrong() == []
    assert reach.wrong() == []
    now = FRESH + 1
    (told,) = reach.wrong()
    assert told.startswith(f"127.0.0.1:{listener.port} cannot be reached")


def page(url: str, method: str = "GET") -> tuple[int, str]:
    try:
        request = urllib.request.Request(url, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_pages() -> None:
    wrong: list[str] = []
    app = application(CollectorRegistry(), {"/healthz": lambda: wrong})
    with serving("127.0.0.1", 0, app) as port:
        url = f"http://127.0.0.1:{port}"
        assert page(f"{url}/healthz") == (200, "ok\n")
        wrong.append("it is ill")
        assert page(f"{url}/healthz") == (503, "it is ill\n")
        assert page(f"{url}/metrics")[0] == 200
        assert page(f"{url}/metrics", "POST")[0] == 405
        assert page(f"{url}/etc/passwd")[0] == 404
        with (
            pytest.raises(UsageError, match=f"nothing can listen on 127.0.0.1:{port}"),
            serving("127.0.0.1", port, app),
        ):
            pass
    with serving("127.0.0.1", free_port(), app) as port:
        assert page(f"http://127.0.0.1:{port}/healthz")[0] == 503
