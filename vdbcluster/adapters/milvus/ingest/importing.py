"""The server's bulk import of files that it can reach.

In: an open connection, a collection, paths as the server sees them. Out: nothing; the files' rows
are in the collection. Promise: raises ``BackendError`` where the server fails to import one of
them, or takes too long. Two ways in: the REST call of servers from 2.4, and the gRPC call of those
before, which knows no REST import and answers 404 (2.3.5 takes Parquet by it).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.errors import backend_errors, failure_of, translate, translated
from vdbcluster.errors import BackendError

POLL_SECONDS = 0.5
DONE, FAILED = "completed", "failed"
_ASKING = "asking the server to import files"
_WAITING = "asking how far the import has come"

State = Callable[[], tuple[str, str]]
"""How far a job is, in the server's word, and why it failed."""


def import_files(
    milvus: MilvusConnection, collection: str, files: Sequence[str], seconds: float
) -> None:
    """Import all ``files``, then make their rows visible; waits at most ``seconds``."""
    deadline = time.monotonic() + seconds
    try:
        jobs = [_by_rest(milvus, collection, files)]
    except backend_errors() as error:
        if "404" not in failure_of(error).text:
            raise translate(error, _ASKING) from error
        jobs = [_by_rpc(milvus, collection, file) for file in files]
    for state in jobs:
        _wait(state, deadline)
    milvus.ask(
        f"loading the rows imported into {collection!r}",
        lambda client, limit: client.refresh_load(collection, timeout=limit),
    )


def _wait(state: State, deadline: float) -> None:
    while time.monotonic() < deadline:
        word, reason = state()
        if word.lower() == DONE:
            return
        if word.lower().startswith(FAILED):
            raise BackendError(
                f"the import of the files failed: {reason or 'the server does not say why'}; the "
                "files are left where they are"
            )
        time.sleep(POLL_SECONDS)
    raise BackendError("the import was not done in time; it goes on at the server, see its logs")


def _by_rest(milvus: MilvusConnection, collection: str, files: Sequence[str]) -> State:
    """Raises the client's own errors."""
    from pymilvus.bulk_writer import bulk_import, get_import_progress

    address = milvus.address
    where: dict[str, Any] = {
        "url": address.uri,
        "api_key": address.token,
        "db_name": address.database,
    }
    answer = bulk_import(collection_name=collection, files=[[file] for file in files], **where)
    job = str(answer.json()["data"]["jobId"])

    def state() -> tuple[str, str]:
        with translated(_WAITING):
            told = get_import_progress(job_id=job, **where).json()["data"]
        return str(told.get("state", "")), str(told.get("reason", ""))

    return state


def _by_rpc(milvus: MilvusConnection, collection: str, file: str) -> State:
    """The client has no public way to this call but its ORM, which is going."""

    def start(client: Any, _: float) -> int:
        # Without a timeout, so that the client does not repeat it: it would import twice.
        return int(client._get_connection().do_bulk_insert(collection, "", [file], retry_times=0))

    job = milvus.tell(_ASKING, start)
    return partial(milvus.ask, _WAITING, partial(_rpc_state, job=job))


def _rpc_state(client: Any, limit: float, *, job: int) -> tuple[str, str]:
    found = client._get_connection().get_bulk_insert_state(job, timeout=limit)
    return str(found.state_name), str(found.failed_reason)
