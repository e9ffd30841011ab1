"""What Milvus says when it fails, put into one clear line, and which failures are worth a retry.

In: exceptions of pymilvus and gRPC. Out: errors of ``vdbcluster.errors``.
Promise: nothing of pymilvus or gRPC leaves this package; only failures that may mend are retried,
for a bounded time. pymilvus is imported when something has failed, not before.

    with translated("reading 'docs'"):
        client.query(...)
    rows = retrying(lambda: client.query(...))
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from vdbcluster.errors import (
    BackendError,
    BackendUnavailableError,
    CollectionChangedError,
    UsageError,
    VdbclusterError,
)

T = TypeVar("T")

PATIENCE = 120.0
"""A call that fails is not repeated after so many seconds: a server may start anew meanwhile."""
LONGEST_WAIT = 10.0
"""Seconds between two attempts, at most."""

CONNECT_FAILED = 2
"""pymilvus' code for every connection that does not come about."""


@dataclass(frozen=True, slots=True)
class Failure:
    """``code``: Milvus' own number, or -1; ``status``: gRPC's word, or ``""``; ``text``: why."""

    code: int
    status: str
    text: str

    @property
    def line(self) -> str:
        """The text as one line of bearable length."""
        text = re.sub(r"\s+", " ", self.text).strip()
        return text if len(text) <= 300 else f"{text[:297]}..."


@dataclass(frozen=True, slots=True)
class _Rule:
    """A failure is this rule's if the code is among ``codes`` or ``words`` are found in it."""

    error: type[VdbclusterError]
    message: str
    codes: frozenset[int] = frozenset()
    words: str = ""

    def matches(self, failure: Failure) -> bool:
        if failure.code in self.codes:
            return True
        said = f"{failure.status} {failure.text}"
        return bool(self.words) and re.search(self.words, said, re.IGNORECASE) is not None


_TOO_LARGE = r"larger than max|exceeds? the limit size|message size exceeds|too large"
_NOT_READY = (
    r"nodes? not enough|rate limit|no available (?:shard|node)|channel not available"
    r"|node offline|not ready|service unavailable|\bUNAVAILABLE\b|\bDEADLINE_EXCEEDED\b"
    r"|fail connecting to server|failed to get shard leader|Retry (?:timeout|run out)"
    r"|empty grpc client|connection refused"
)

_NOT_LOADED = _Rule(
    BackendError,
    "{doing}: the collection is not loaded; load it first, with --load or by "
    "client.load_collection ({line})",
    codes=frozenset({101}),
    words=r"not (?:fully )?loaded|state 'released'",
)

# The first rule that matches speaks. Wording differs between servers and between versions, so most
# rules look at codes and words both.
_RULES = (
    _Rule(
        UsageError,
        "{doing}: the server's certificate is not accepted; check --tls-ca and --tls-name ({line})",
        words=r"CERTIFICATE_VERIFY_FAILED|Hostname Verification Check failed",
    ),
    _Rule(
        UsageError,
        "{doing}: the server does not speak TLS; write http:// instead of https:// ({line})",
        words=r"WRONG_VERSION_NUMBER",
    ),
    _Rule(
        UsageError,
        "{doing}: the server refused the token; check --token ({line})",
        words=r"unauthenticated|auth check failure|invalid credential|wrong password",
    ),
    _Rule(
        UsageError,
        "{doing}: this user lacks the privilege; grant it or use another --token ({line})",
        words=r"PERMISSION_DENIED|permission ?deny|permission ?denied|privilege",
    ),
    _Rule(
        UsageError,
        "{doing}: the database does not exist; check --db ({line})",
        codes=frozenset({800}),
        words=r"database \S+ does not exist|database not found",
    ),
    _Rule(
        CollectionChangedError,
        "{doing}: the collection does not exist or was dropped meanwhile; see that it is there, "
        "then run again ({line})",
        codes=frozenset({100}),
        words=r"can't find collection|collection not found|collection '\S+' does not exist",
    ),
    _NOT_LOADED,
    _Rule(
        UsageError,
        "{doing}: the server does not understand the filter; check --filter ({line})",
        words=r"parse expression|invalid expression|unexpected (?:character|token|end)"
        r"|scalar filter expression|incompatible types|expression is not|unknown field"
        r"|expected .* at column",
    ),
    _Rule(
        UsageError,
        "{doing}: a partition does not exist; check --partition ({line})",
        codes=frozenset({200}),
        words=r"partition(?: name)? \S* ?not found",
    ),
    _Rule(
        BackendError,
        "{doing}: a message exceeds the server's limit; use smaller pages ({line})",
        words=_TOO_LARGE,
    ),
    _Rule(
        BackendUnavailableError,
        "{doing}: the server cannot be reached or is not ready, or refused the token; check that "
        "it runs, then --uri and --token ({line})",
        codes=frozenset({2, 8, 503}),
        words=_NOT_READY,
    ),
)


def backend_errors() -> tuple[type[Exception], ...]:
    """What a call of pymilvus may raise; written ``except backend_errors()`` it costs no import."""
    import grpc
    from pymilvus.exceptions import MilvusException

    return (MilvusException, grpc.RpcError)


def failure_of(error: BaseException) -> Failure:
    """Code, gRPC status and text, wherever this kind of exception keeps them.

    pymilvus hides why it could not connect in the exception's cause.
    """
    if error.__cause__ not in (None, error) and getattr(error, "code", None) == CONNECT_FAILED:
        return replace(failure_of(error.__cause__), code=CONNECT_FAILED)
    code = getattr(error, "code", None)
    code = code() if callable(code) else code
    status = str(getattr(code, "name", ""))
    details = getattr(error, "details", None)
    text = details() if callable(details) else getattr(error, "message", "")
    return Failure(
        code=int(code) if isinstance(code, int) and not status else -1,
        status=status,
        text=str(text or error),
    )


def translate(error: BaseException, doing: str) -> VdbclusterError:
    """The error of ours that says what went wrong while ``doing``, in one line, with a remedy."""
    failure = failure_of(error)
    for rule in _RULES:
        if rule.matches(failure):
            return rule.error(rule.message.format(doing=doing, line=failure.line))
    return BackendError(f"{doing} failed: {failure.line}")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn failures of the client inside the block into ours; ``doing`` begins the message."""
    try:
        yield
    except backend_errors() as error:
        raise translate(error, doing) from error


def is_too_large(error: BaseException) -> bool:
    """Whether a smaller request or page would go through. Three shapes are known, all by words."""
    return re.search(_TOO_LARGE, failure_of(error).text, re.IGNORECASE) is not None


def is_too_slow(error: BaseException) -> bool:
    """Whether the call ran into its time limit; less work at once may go through."""
    failure = failure_of(error)
    said = f"{failure.status} {failure.text}"
    return re.search(r"DEADLINE_EXCEEDED|deadline exceeded|Retry timeout", said) is not None


def is_missing(error: BaseException) -> bool:
    """Whether the server says that the collection does not exist."""
    return isinstance(translate(error, ""), CollectionChangedError)


def is_not_loaded(error: BaseException) -> bool:
    """Whether the collection has to be loaded first."""
    return _NOT_LOADED.matches(failure_of(error))


def is_retriable(error: BaseException) -> bool:
    """Whether the same request may go through later.

    Own list, because ``MilvusException.retriable`` is False even for a rate limit.
    """
    if not isinstance(error, backend_errors()) or is_too_large(error):
        return False
    return isinstance(translate(error, ""), BackendUnavailableError)


def retrying(call: Callable[[], T], patience: float = PATIENCE) -> T:
    """``call()``, again with exponential jitter while its failure is retriable; else as it raises.

    For idempotent calls only. None is begun after ``patience`` seconds.
    """
    attempts = Retrying(
        retry=retry_if_exception(is_retriable),
        wait=wait_random_exponential(multiplier=0.3, max=LONGEST_WAIT),
        stop=stop_after_delay(patience),
        reraise=True,
    )
    return attempts(call)


def quiet() -> None:
    """Silence pymilvus and Lite, which log a traceback for every failure.

    To be called once pymilvus is imported, because the import sets up its loggers anew.
    """
    for name in ("pymilvus", "milvus_lite"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
