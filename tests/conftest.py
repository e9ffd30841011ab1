"""Fixtures that all tests share.

``backend`` runs a test on Milvus Lite (file), Milvus Lite (server process) and the real server;
``lite_file``, ``lite_server``, ``real_server`` give one of them. Servers start once a session, on
first use. ``client`` is a plain ``MilvusClient`` on ``backend``; ``collection_name`` is unique to
the test and dropped, with everything whose name begins with it, when the test is over.
``emulate("2.6")`` gives a proxy that emulates a newer server (its ``.backend`` is what clients
use), ``emulated("2.6")`` that backend alone; ``proxied(backend)`` a proxy for faults and races.
"""

from __future__ import annotations

import re
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from pymilvus import MilvusClient

from tests import backends, data
from tests.backends import Backend, LiteServer, RealServer
from tests.emulation import RELEASES, Proxy, in_front_of
from tests.hurry import hurry

hurry()
QUICK_SERVER = tuple(
    part
    for setting in (
        "proxy.timeTickInterval=50",  # a read that misses nothing waits for the next tick
        "queryCoord.checkInterval=100",
        "queryCoord.distPullInterval=100",
    )
    for part in ("--extra-config", setting)
)
"""What the real server does by the clock it does more often: nearly all of a test is waiting."""
BACKENDS = (
    backends.LITE_FILE,
    backends.LITE_SERVER,
    pytest.param(backends.REAL_SERVER, marks=pytest.mark.server),
)


hypothesis.settings.register_profile("patient", deadline=None)  # nothing here is about time
hypothesis.settings.load_profile("patient")


def pytest_configure() -> None:
    """Told to terminate, end the servers first; they would outlive the session otherwise.

    What a shell runs in the background ignores interrupts, and so would the processes that tests
    start to interrupt them.
    """
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated"))
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what needs the real server, which takes fixed ports: one process runs all of it."""
    if {"real_server", "real_server_process"} & set(getattr(item, "fixturenames", ())):
        item.add_marker(pytest.mark.server)


FIRST_CASE = ("tests/safety/", "tests/faults/", "tests/emulation/")
"""Folders of tests that take their time: the first case of each is quick enough, others slow."""
SINKS = ("tests/contract/test_sink", "tests/contract/test_unlabelled")
OTHERS = re.compile(r"\[(2\.4|2\.5|3\.0)-|-int\]")
"""Cases of sinks that are much like those of release 2.6, and of text keys."""
CONTRACT = "tests/contract/"
TWINS = ((backends.LITE_SERVER, backends.LITE_FILE), ("-INT64", "-VARCHAR"))
"""Words of the names of cases of contracts: what the second shows, the first shows again."""


TOGETHER = {
    "tests/browser/": "browser",
    "tests/integration/test_library_runs.py": "umap",
    "tests/integration/test_map_cli.py": "umap",
    "tests/unit/test_layout.py": "umap",
    "tests/unit/test_method_layout.py": "umap",
    "tests/unit/test_methods_contract.py": "umap",
}
"""Files for one process of several: to compile UMAP takes most of a minute, a browser its time."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Of several processes one runs all of a file, and what is ``TOGETHER``."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            found = (name for begin, name in TOGETHER.items() if nodeid.startswith(begin))
            return next(found, None) or super()._split_scope(nodeid)

    return Scheduling(config, log)


EXAMPLES = 25
"""Of each property, where slow tests are left out; all that it asks for everywhere else."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark as slow what something quicker shows most of."""
    if "not slow" in config.option.markexpr:
        _with_few_examples(items)
    names, seen = {item.nodeid for item in items}, set()
    for item in items:
        function = item.nodeid.partition("[")[0]
        again = function in seen and item.nodeid.startswith(FIRST_CASE)
        like = item.nodeid.startswith(SINKS) and OTHERS.search(item.nodeid)
        late = {"server", "slow_on_server"} <= {mark.name for mark in item.iter_markers()}
        if again or like or late or _twins(item.nodeid) & names:
            item.add_marker(pytest.mark.slow)
        seen.add(function)


def _with_few_examples(items: list[pytest.Item]) -> None:
    name = "_hypothesis_internal_use_settings"  # where its plugin for pytest changes them, too
    for test in {getattr(item, "obj", None) for item in items}:
        asked = getattr(test, name, None)
        if asked is not None and asked.max_examples > EXAMPLES:
            setattr(test, name, hypothesis.settings(asked, max_examples=EXAMPLES))


def _twins(name: str) -> set[str]:
    """Names of cases that would show what this one shows."""
    words = TWINS if name.startswith(CONTRACT) else TWINS[:1]
    return {name.replace(*pair) for pair in words if pair[0] in name}


@pytest.fixture(scope="session")
def lite_server_process() -> Iterator[LiteServer]:
    """The Milvus Lite server process of the session; do not kill this one."""
    with backends.lite_server() as server:
        yield server


@pytest.fixture(scope="session")
def lite_server(lite_server_process: LiteServer) -> Backend:
    return lite_server_process.backend


@pytest.fixture(scope="session")
def real_server_process() -> Iterator[RealServer | None]:
    """The real server of the session; None where the environment names a running one."""
    if backends.external_uri():
        yield None
        return
    reason = backends.why_no_real_server()
    if reason is not None:
        pytest.skip(reason)
    with backends.real_server(options=QUICK_SERVER) as server:
        yield server


@pytest.fixture(scope="session")
def real_server(real_server_process: RealServer | None) -> Backend:
    if real_server_process is None:
        return Backend(backends.REAL_SERVER, backends.external_uri())
    return real_server_process.backend


@pytest.fixture
def lite_file(tmp_path: Path) -> Iterator[Backend]:
    with backends.lite_file(tmp_path) as backend:
        yield backend


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend in turn."""
    found: Backend = request.getfixturevalue(backends.FIXTURES[request.param])
    return found


@pytest.fixture(autouse=True)
def _revive_real_server(request: pytest.FixtureRequest) -> None:
    """The real server is known to shut itself down under load: restart it, once."""
    if request.node.get_closest_marker("server"):
        server: RealServer | None = request.getfixturevalue("real_server_process")
        if server is not None:
            server.ensure()


@pytest.fixture
def connect() -> Iterator[Callable[[Backend], MilvusClient]]:
    """Make clients that are closed after the test."""
    with ExitStack() as stack:
        yield lambda backend: stack.enter_context(backends.connected(backend))


@pytest.fixture
def client(backend: Backend, connect: Callable[[Backend], MilvusClient]) -> MilvusClient:
    return connect(backend)


@contextmanager
def _dropped_afterwards(name: str, backend: Backend | None) -> Iterator[str]:
    yield name
    if backend is None:
        return
    with backends.connected(backend) as client:
        for found in client.list_collections():
            if found.startswith(name):
                for alias in client.list_aliases(found).get("aliases", []):
                    client.drop_alias(alias)
                client.drop_collection(found)


@pytest.fixture
def collection_name(request: pytest.FixtureRequest) -> Iterator[str]:
    """A name of the test's own; what is made under it (or a longer name) on ``backend`` goes."""
    stem = re.sub(r"\W", "_", request.node.originalname)[:40]
    used = "backend" in request.fixturenames
    backend: Backend | None = request.getfixturevalue("backend") if used else None
    with _dropped_afterwards(f"t_{stem}_{uuid.uuid4().hex[:8]}", backend) as name:
        yield name


@pytest.fixture(scope="session")
def _emulations(lite_server: Backend) -> Iterator[Callable[[str], Proxy]]:
    running: dict[str, Proxy] = {}
    with ExitStack() as stack:

        def of(release: str) -> Proxy:
            if release not in running:
                proxy = in_front_of(lite_server, RELEASES[release])
                running[release] = stack.enter_context(proxy)
            return running[release]

        yield of


@pytest.fixture
def emulate(_emulations: Callable[[str], Proxy]) -> Iterator[Callable[[str], Proxy]]:
    """The emulation of a release; its faults are mended after the test."""
    used: list[Proxy] = []

    def of(release: str) -> Proxy:
        used.append(_emulations(release))
        return used[-1]

    yield of
    for proxy in used:
        _mended(proxy)


@pytest.fixture
def emulated(emulate: Callable[[str], Proxy]) -> Callable[[str], Backend]:
    return lambda release: emulate(release).backend


@pytest.fixture
def proxied() -> Iterator[Callable[[Backend], Proxy]]:
    """A proxy before a backend that is served at an address; it forwards until told otherwise."""
    used: list[Proxy] = []
    with ExitStack() as stack:

        def before(backend: Backend) -> Proxy:
            used.append(stack.enter_context(in_front_of(backend)))
            return used[-1]

        yield before
        for proxy in used:
            _mended(proxy)


def _mended(proxy: Proxy) -> None:
    """A callback that failed must not go unnoticed: its caller only saw a failed call."""
    errors, proxy.errors = proxy.errors, []
    proxy.mend()
    assert not errors, f"a callback of the proxy failed: {errors!r}"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The directory of real data next to the repository; skips where it is absent."""
    found = data.directory()
    if found is None:
        pytest.skip(f"no shared data next to the repository and {data.VARIABLE} is not set")
    return found
