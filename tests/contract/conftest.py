"""Fixtures of the contract tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pymilvus import MilvusClient

from tests import backends
from tests.backends import Backend
from tests.contract.making import connection_to
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.writeback import probe as choosing
from vdbcluster.adapters.milvus.writeback.capabilities import Capabilities, probe
from vdbcluster.model.collection import KeyField

_seen: dict[tuple[object, ...], Capabilities] = {}


@pytest.fixture
def probed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers of the same address and kind of key are probed once a session: it takes seconds."""

    def remembering(
        milvus: MilvusConnection, key: KeyField, dynamic: bool, whole_rows: bool
    ) -> Capabilities:
        uri = "" if milvus.address.is_file else milvus.address.uri
        known = (uri, milvus.server.version, key.type, key.auto_id, whole_rows)
        if known not in _seen:
            _seen[known] = probe(milvus, key, dynamic, whole_rows)
        return _seen[known]

    monkeypatch.setattr(choosing, "probe", remembering)


@pytest.fixture
def connection(backend: Backend) -> Iterator[MilvusConnection]:
    """The product's connection to ``backend``."""
    with connection_to(backend) as opened:
        yield opened


@pytest.fixture
def lite(lite_file: Backend) -> Iterator[tuple[MilvusClient, MilvusConnection]]:
    """A Lite file: a plain client, and the product's connection."""
    with backends.connected(lite_file) as client, connection_to(lite_file) as opened:
        yield client, opened
