"""A connection to Milvus: where it is, what it is, and one way of calling it.

In: ``MilvusAddress``. Out: ``MilvusConnection``, whose ``ask`` (idempotent, retried) and ``tell``
(once) raise errors of ``vdbcluster.errors`` only.
Promise: a Lite file is never created unless asked for; no address that is shown carries a secret.

    with connect(MilvusAddress("docs.db")) as milvus:
        rows = milvus.ask("reading 'docs'", lambda client, limit: client.query(..., timeout=limit))
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

from vdbcluster.adapters.milvus.errors import (
    PATIENCE,
    backend_errors,
    is_retriable,
    quiet,
    retrying,
    translate,
    translated,
)
from vdbcluster.adapters.milvus.tls import PLAIN, Tls, reason
from vdbcluster.errors import BackendUnavailableError, UsageError
from vdbcluster.model.collection import ServerInfo, ServerKind

T = TypeVar("T")
Call = Callable[[Any, float], T]
"""Gets the ``MilvusClient`` and the timeout in seconds that it should pass on."""

CONNECT_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class MilvusAddress:
    """``uri``: ``http(s)://host:port``, ``tcp://``, ``unix:`` or the path of a Lite file (``.db``).

    ``token``: API key or ``user:password``. ``timeout``: seconds that one call may take.
    ``patience``: seconds for which a call is repeated while the server is away or too busy.
    """

    uri: str
    token: str = field(default="", repr=False)
    database: str = ""
    timeout: float = 120.0
    patience: float = PATIENCE
    tls: Tls = PLAIN

    @property
    def is_file(self) -> bool:
        return "://" not in self.uri and not self.uri.startswith("unix:")

    @property
    def path(self) -> Path:
        """Of a Lite file."""
        return Path(self.uri).expanduser()

    @property
    def shown(self) -> str:
        """The address without user, password and query."""
        if self.is_file or self.uri.startswith("unix:"):
            return self.uri.rpartition("@")[2]
        parts = urlsplit(self.uri)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{parts.path}".rstrip("/")

    @property
    def chosen_database(self) -> str:
        """As ``database`` says, or else as the path of the address does; empty is the default."""
        if self.database or self.is_file or self.uri.startswith("unix:"):
            return self.database
        return urlsplit(self.uri).path.strip("/").partition("/")[0]

    def __repr__(self) -> str:
        return f"MilvusAddress({self.shown!r}, database={self.database!r})"


class MilvusConnection:
    """An open connection; threads may share it.

    Once a call has been repeated in vain for all its patience, others have none until one succeeds:
    what is left to do is to clean up and end.
    """

    def __init__(self, client: Any, address: MilvusAddress, server: ServerInfo) -> None:
        self._client = client
        self.address = address
        self.server = server
        self._away = False

    @property
    def is_lite(self) -> bool:
        return self.server.kind == "lite"

    def ask(self, doing: str, call: Call[T]) -> T:
        """``call(client, timeout)``, retried while that may help: for idempotent calls only."""
        with translated(doing):
            return self._again(call)

    def tell(self, doing: str, call: Call[T]) -> T:
        """``call(client, timeout)``, once."""
        with translated(doing):
            return call(self._client, self.address.timeout)

    def raw(self, call: Call[T], *, again: bool = True) -> T:
        """As ``ask``, but lets the client's own errors through, for a caller that tells them apart.

        Such a caller catches ``errors.backend_errors()`` and ends with ``errors.translate``. Not
        ``again``: as ``tell``, once.
        """
        if not again:
            return call(self._client, self.address.timeout)
        return self._again(call)

    def _again(self, call: Call[T]) -> T:
        address = self.address
        patience = 0.0 if self._away else address.patience
        try:
            answer = retrying(lambda: call(self._client, address.timeout), patience)
        except backend_errors() as error:
            self._away = is_retriable(error)
            raise
        self._away = False
        return answer

    def close(self) -> None:
        """Let go of the server; a Lite file stays open until the process ends"""
        self._client.close()

    def __enter__(self) -> MilvusConnection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def connect(address: MilvusAddress, create: bool = False) -> MilvusConnection:
    """Open ``address``; ``create`` allows a Lite file that does not exist yet.

    Raises ``UsageError`` for an address, token or database that cannot be right, and
    ``BackendUnavailableError`` where nobody answers or another process holds the Lite file.
    """
    client = _open_file(address, create) if address.is_file else _open_server(address)
    try:
        version = _version(client, address)
    except BaseException:
        client.close()
        raise
    return MilvusConnection(
        client, address, ServerInfo(server_kind(version), version, address.shown)
    )


def server_kind(version: str) -> ServerKind:
    """``lite`` for ``milvus_lite-3.2.2``; ``v2.4.1`` and ``v2.3.5-lite`` are servers."""
    return "lite" if version.lower().replace("-", "_").startswith("milvus_lite") else "server"


def _version(client: Any, address: MilvusAddress) -> str:
    """The server's version; the question also shows whether token and database are accepted."""
    with translated(f"connecting to {address.shown}"):
        version = str(client.get_server_version(timeout=CONNECT_TIMEOUT))
        client.list_collections(timeout=CONNECT_TIMEOUT)
    return version


def _open_server(address: MilvusAddress) -> Any:
    try:
        parts = urlsplit(address.uri)
        _ = parts.port
    except ValueError as error:
        told = address.uri.rpartition("@")[2]
        raise UsageError(f"{told!r} is no address of a server ({error}); check --uri") from error
    if not address.uri.startswith("unix:") and parts.scheme not in ("http", "https", "tcp"):
        raise UsageError(
            f"{address.shown!r} is no address of a Milvus server; write http://host:19530, or the "
            "path of a Milvus Lite file that ends in .db"
        )
    address.tls.check(address.uri)
    doing = f"connecting to {address.shown}"
    try:
        return _client(address, address.uri)
    except backend_errors() as error:
        failed = translate(error, doing)
        if isinstance(failed, BackendUnavailableError) and (
            why := reason(address.uri, address.tls)
        ):
            raise UsageError(f"{doing}: {why}") from error
        raise failed from error


def _open_file(address: MilvusAddress, create: bool) -> Any:
    path = address.path
    if path.suffix != ".db":
        raise UsageError(
            f"{address.shown!r} is neither a server address (http://host:19530) nor a Milvus Lite "
            "file, whose name ends in .db"
        )
    if path.is_file():
        raise UsageError(
            f"{address.uri!r} is a plain file, not a database of Milvus Lite 3 (a directory); "
            "one made by Milvus Lite 2 must be exported with that version"
        )
    if not create and not path.exists():
        raise UsageError(f"there is no Milvus Lite file {address.shown!r}; check --uri")
    with _lite_failures() as failures:
        try:
            return _client(address, str(path))
        except backend_errors() as error:
            if any("holds the lock" in str(failure) for failure in failures):
                raise BackendUnavailableError(
                    f"{address.uri!r} is open in another process, and a Milvus Lite file can be "
                    "open in one only; close that one, or serve the directory with "
                    "'milvus-lite server' and use its http address"
                ) from error
            cause = next(iter(failures), error)
            raise translate(cause, f"opening {address.uri!r}") from error


def _client(address: MilvusAddress, uri: str) -> Any:
    """A client with a connection of its own.

    Shared ones, which are pymilvus' default, are told apart by address and token alone, not by TLS
    or database, are never closed, and those that the server has hung up on are handed out again.
    """
    from pymilvus import MilvusClient

    quiet()
    return MilvusClient(
        uri=uri,
        token=address.token,
        db_name=address.database,
        timeout=CONNECT_TIMEOUT,
        dedicated=True,
        grpc_options={"grpc.use_local_subchannel_pool": 1},
        **address.tls.options(),
    )


class _Failures(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1]:
            self.seen.append(record.exc_info[1])


@contextmanager
def _lite_failures() -> Iterator[list[BaseException]]:
    """Why Lite did not start: pymilvus drops the reason, Lite writes it to its log alone."""
    logger = logging.getLogger("milvus_lite.server_manager")
    handler = _Failures()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    try:
        yield handler.seen
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
