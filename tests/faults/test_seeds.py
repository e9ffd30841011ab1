"""A few of the seeds of ``scripts/fault_runs``, and the proxy and the judge that they rely on."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

import pytest

from tests.backends import LITE_SERVER, REAL_SERVER, Backend
from tests.faults.seeds import Outcome, Site, differences
from tests.faults.wire import KINDS, Fault, wire

pytestmark = pytest.mark.timeout(900)  # on a busy machine
SEEDS = {
    LITE_SERVER: (1, 22, 48, 95),  # reset; refuse; two cuts; a hole
    REAL_SERVER: (2, 19, 66),  # delay; reset; a cut while rows are written anew
}
AT_ONCE = 2


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, Backend], dict[int, Outcome]]:
    known: dict[str, dict[int, Outcome]] = {}

    def of(name: str, backend: Backend) -> dict[int, Outcome]:
        if name not in known:
            site = Site(backend, tmp_path_factory.mktemp("seeds"))
            with ThreadPoolExecutor(AT_ONCE) as pool:
                found = pool.map(site.suffer, SEEDS[name])
                known[name] = {outcome.seed: outcome for outcome in found}
        return known[name]

    return of


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS[LITE_SERVER])
def test_a_run_on_lite_ends_whole_or_refuses(seed: int, outcomes, lite_server: Backend) -> None:
    outcome = outcomes(LITE_SERVER, lite_server)[seed]
    assert outcome.violations == [], outcome


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize("seed", SEEDS[REAL_SERVER])
def test_a_run_on_a_server_ends_whole_or_refuses(seed: int, outcomes, real_server: Backend) -> None:
    outcome = outcomes(REAL_SERVER, real_server)[seed]
    assert outcome.violations == [], outcome


def test_the_judge_sees_what_is_wrong() -> None:
    expected = {
        1: (0, 1.0, "core"),
        2: (0, 0.5, "core"),
        3: (1, 1.0, "core"),
        4: (-1, 0.0, "noise"),
    }
    same = {1: (7, 1.0, "core"), 3: (5, 1.0, "core"), 4: (-1, 0.0, "noise")}

    assert differences(same, expected) == []
    assert differences({**same, 2: (5, 0.5, "core")}, expected)
    assert differences({**same, 2: (7, 0.6, "core")}, expected)
    assert differences({**same, 2: (7, 0.5, "soft")}, expected)
    assert differences({**same, 9: (7, 0.5, "core")}, expected)
    assert differences({1: (7, 1.0, "core"), 3: (7, 1.0, "core")}, expected)
    assert differences({4: (3, 0.0, "noise"), 1: (-1, 1.0, "core")}, expected)


@contextmanager
def echo() -> Iterator[int]:
    """A server that says everything back."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                taken, _ = listener.accept()
                threading.Thread(target=answer, args=(taken,), daemon=True).start()

    def answer(taken: socket.socket) -> None:
        with suppress(OSError), taken:
            while data := taken.recv(65536):
                taken.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.close()


def said_back(port: int, size: int, patience: float = 60.0) -> int:
    """How many bytes of so many come back; -1 after a reset."""
    with socket.create_connection(("127.0.0.1", port), 60) as client:
        client.settimeout(patience)
        came = 0
        try:
            client.sendall(bytes(size))
            while came < size and (data := client.recv(65536)):
                came += len(data)
        except ConnectionError:
            return -1
        except TimeoutError:
            return came
    return came


def test_without_a_fault_every_byte_passes() -> None:
    with echo() as port, wire(port) as proxy:
        assert said_back(proxy.port, 50_000) == 50_000
        assert proxy.passed == {"up": 50_000, "down": 50_000}


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_strikes_at_its_byte_and_once(kind: str) -> None:
    fault = Fault(kind, "down", 20_000, 0.5)  # type: ignore[arg-type]
    with echo() as port, wire(port, [fault]) as proxy:
        came = said_back(proxy.port, 50_000, patience=5.0)

        assert proxy.struck == [fault]
        if kind in ("delay", "slow"):
            assert came == 50_000
        elif kind == "reset":
            assert came == -1
        else:
            assert came in (20_000, -1)
        proxy.mend()
        assert said_back(proxy.port, 50_000) == 50_000


def test_a_connection_that_is_being_made_when_it_stops_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect, made, go = socket.create_connection, [], threading.Event()

    def slowly(*where: object) -> socket.socket:
        made.append(connect(*where))  # type: ignore[arg-type]
        go.wait(60)
        return made[0]

    monkeypatch.setattr(socket, "create_connection", slowly)
    with echo() as port, ExitStack() as stays:
        with wire(port) as proxy:
            stays.enter_context(connect(("127.0.0.1", proxy.port), 60))
            deadline = time.monotonic() + 60
            while not made:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            threading.Timer(0.3, go.set).start()
        assert made[0].fileno() == -1
