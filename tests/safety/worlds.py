"""Where the kill tests run: a backend, by choice with a proxy before it that counts calls.

In: what makes a world of a backend, a proxy and a directory. Out: one world a backend, kept for the
module. Promise: what a world has made is dropped at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
from pymilvus import MilvusClient

from tests import backends
from tests.backends import Backend, connected
from tests.emulation import Proxy, in_front_of


class World(Protocol):
    """What a test acts upon."""

    def drop(self) -> None: ...


W = TypeVar("W", bound=World)


@contextmanager
def worlds(
    request: pytest.FixtureRequest,
    homes: pytest.TempPathFactory,
    make: Callable[[Backend, Proxy | None, Path], W],
) -> Iterator[Callable[[str], W]]:
    """Worlds by the name of their backend: a Lite file is on its own, servers have a proxy."""
    made: dict[str, W] = {}
    with ExitStack() as stack:

        def of(name: str) -> W:
            if name not in made:
                made[name] = _made(request, homes, make, name, stack)
                stack.callback(made[name].drop)
            return made[name]

        yield of


def _made(
    request: pytest.FixtureRequest,
    homes: pytest.TempPathFactory,
    make: Callable[[Backend, Proxy | None, Path], W],
    name: str,
    stack: ExitStack,
) -> W:
    home = homes.mktemp("killed")
    if name == backends.LITE_FILE:
        return make(Backend(name, str(home / "lite.db")), None, home)
    fixture = "real_server" if name == backends.REAL_SERVER else "lite_server"
    proxy = stack.enter_context(in_front_of(request.getfixturevalue(fixture), None))
    return make(proxy.backend, proxy, home)


@contextmanager
def client_of(backend: Backend) -> Iterator[MilvusClient]:
    """A client that is closed, and a Lite file with it, when the context ends."""
    with ExitStack() as stack:
        if backend.name == backends.LITE_FILE:
            stack.enter_context(backends.lite_file(Path(backend.uri).parent))
        yield stack.enter_context(connected(backend))


def drop_all(client: MilvusClient, name: str, alias: str) -> None:
    """The collection, its catalogue and all that was made beside it."""
    client.drop_alias(alias)
    for found in client.list_collections():
        if found.startswith(name):
            client.drop_collection(found)


def settings_of(uri: str, name: str, home: Path, **sections: Any) -> dict[str, Any]:
    """For ``load_settings``: records beside the world, small batches, so that calls are many."""
    return {
        "milvus": {"uri": uri, "collection": name},
        "write": {"batch": 16},
        "run": {"runs_dir": home / "runs"},
        **sections,
    }
