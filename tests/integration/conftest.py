"""Fixtures that several files of this directory share."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests import backends
from tests.backends import Backend
from tests.integration.worker_world import made
from tests.safety.conftest import _probed_once  # noqa: F401  it applies by being here
from tests.snapshot import Snapshot


@pytest.fixture(scope="module")
def server() -> Iterator[Backend]:
    """A Lite server that nobody else uses."""
    with backends.lite_server() as running:
        yield running.backend


@pytest.fixture
def docs(server: Backend) -> tuple[str, Snapshot]:
    """The name of a new collection on ``server``, and its foreign bytes."""
    name = f"d_{uuid.uuid4().hex[:8]}"
    return name, made(server, name)
