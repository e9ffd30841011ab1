"""Paging over a client that fails as servers do: nothing lost, nothing twice, in bounded pages."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymilvus.exceptions import MilvusException

from vdbcluster.adapters.milvus import errors
from vdbcluster.adapters.milvus.client import MilvusAddress, MilvusConnection
from vdbcluster.adapters.milvus.reconcile import repeated_rows
from vdbcluster.adapters.milvus.stream import MAX_ROWS, Scan, page_rows, read_pages
from vdbcluster.errors import BackendError, BackendUnavailableError, CollectionChangedError
from vdbcluster.model.collection import KeyField, ServerInfo

ADDRESS = MilvusAddress("http://localhost:19530")
SERVER = ServerInfo("server", "v2.5.0", ADDRESS.shown)
TOO_LARGE = (
    "grpc: received message larger than max (80000000 vs. 67108864)",
    "query results exceed the limit size",
    "RESOURCE_EXHAUSTED: SERVER: Sent message larger than max",
)


class FakeIterator:
    def __init__(self, client: FakeClient, rows: int, after: int) -> None:
        self._client, self._rows, self._after = client, rows, after

    def next(self) -> list[dict[str, int]]:
        if self._rows > self._client.largest_page:
            raise self._client.error
        if self._client.failures:
            raise self._client.failures.pop()
        rest = [key for key in self._client.keys if key > self._after][: self._rows]
        self._after = rest[-1] if rest else self._after
        return [{"key": key} for key in rest]


class FakeClient:
    """Keys and nothing else; pages above ``largest_page`` fail, ``failures`` are raised once."""

    def __init__(self, keys: list[int], largest_page: int = MAX_ROWS) -> None:
        self.keys, self.largest_page = keys, largest_page
        self.error: Exception = MilvusException(65535, TOO_LARGE[0])
        self.failures: list[Exception] = []
        self.number = 1

    def query_iterator(self, _: str, batch_size: int, filter: str, **rest: Any) -> FakeIterator:  # noqa: A002
        after = re.match(r"key > (-?\d+)|$", filter)
        assert after is not None
        return FakeIterator(self, batch_size, int(after.group(1) or -1))

    def describe_collection(self, _: str, timeout: float) -> dict[str, Any]:
        return {"collection_id": self.number, "created_timestamp": 0}


SCAN = Scan("docs", "1@0", KeyField("key", "INT64", auto_id=False), ())


def connection_to(client: FakeClient, patience: float = 60) -> MilvusConnection:
    return MilvusConnection(client, replace(ADDRESS, patience=patience), SERVER)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)


@pytest.mark.parametrize("message", TOO_LARGE)
def test_pages_that_are_too_large_are_halved(message: str) -> None:
    client = FakeClient(list(range(1000)), largest_page=100)
    client.error = MilvusException(65535, message)

    pages = list(read_pages(connection_to(client), SCAN, 512))

    assert [row["key"] for page in pages for row in page] == list(range(1000))
    assert max(len(page) for page in pages) == 64


def test_one_row_that_is_too_large_is_an_error() -> None:
    client = FakeClient([1], largest_page=0)

    with pytest.raises(BackendError, match="exceeds the server's limit"):
        list(read_pages(connection_to(client), SCAN, 8))


@pytest.mark.parametrize(
    "error",
    [
        MilvusException(8, "rate limit exceeded"),
        MilvusException(503, "service unavailable"),
        MilvusException(65535, "fail to search: nodes not enough"),
        MilvusException(2, "Fail connecting to server on localhost:19530"),
        MilvusException(65535, "empty grpc client: failed to connect 127.0.0.1:53100"),
        MilvusException(1, "[flush] Retry timeout: 5.0s, message=wait for flush timeout"),
    ],
)
def test_what_may_mend_is_tried_again(error: Exception) -> None:
    client = FakeClient(list(range(10)))
    client.failures = [error, error]

    pages = list(read_pages(connection_to(client), SCAN, 4))

    assert [row["key"] for page in pages for row in page] == list(range(10))


def test_what_stays_away_is_given_up() -> None:
    client = FakeClient([1])
    client.failures = [MilvusException(503, "service unavailable")] * 3

    with pytest.raises(BackendUnavailableError):
        list(read_pages(connection_to(client, patience=0), SCAN, 4))
    assert len(client.failures) == 2


def test_what_cannot_mend_is_not_tried_again() -> None:
    client = FakeClient([1])
    client.failures = [MilvusException(65535, "disk is gone")] * 5

    with pytest.raises(BackendError, match=r"reading 'docs' failed: disk is gone"):
        list(read_pages(connection_to(client), SCAN, 4))
    assert len(client.failures) == 4


def test_new_collection_of_the_same_name_is_noticed() -> None:
    client = FakeClient(list(range(10)))
    pages = read_pages(connection_to(client), SCAN, 4)
    next(pages)
    client.number = 2

    with pytest.raises(CollectionChangedError):
        next(pages)


@pytest.mark.parametrize(
    ("size", "page_bytes", "expected"),
    [(1536, 16 << 20, 10922), (4, 16 << 20, MAX_ROWS), (1 << 30, 16 << 20, 1), (0, 0, 1)],
)
def test_page_is_sized_by_bytes(size: int, page_bytes: int, expected: int) -> None:
    assert page_rows(size, page_bytes) == expected


class Denied(grpc.RpcError):
    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.PERMISSION_DENIED

    def details(self) -> str:
        return "no privilege Query on docs"


def test_grpc_errors_are_translated_too() -> None:
    with (
        pytest.raises(errors.UsageError, match="this user lacks the privilege"),
        errors.translated("reading 'docs'"),
    ):
        raise Denied


def test_foreign_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), errors.translated("reading"):
        raise ZeroDivisionError


def test_message_is_one_line() -> None:
    error = errors.translate(MilvusException(6, "line\n  another\n" + "x" * 1000), "reading 'docs'")

    assert "\n" not in str(error)
    assert len(str(error)) < 350


@given(
    st.lists(st.integers(0, 200), min_size=1, max_size=60, unique=True).map(sorted),
    st.lists(st.integers(0, 200), max_size=30),
)
def test_repeated_rows_never_claims_foreign_rows(keys: list[int], others: list[int]) -> None:
    held = keys + others

    def count(first: int, last: int) -> int:
        return sum(first <= key <= last for key in held)

    assert repeated_rows(count, keys) == sum(key in keys for key in others)
    assert repeated_rows(count, keys, most=1) in (0, sum(key in keys for key in others))
