"""File systems by URL: a folder of this machine, or an object store; how long one waits for it.

In: a path, or a URL that fsspec knows. Out: its file system, and uses of it that are tried again.
Promise: a store that takes a request and never answers is given up after about ``tries`` x
``answer`` seconds; one that is silent or away for ``pause`` seconds is survived. Two wait, each for
its own: the client of S3 sends a request again, this module begins a whole use again. What the user
has set for fsspec (``FSSPEC_S3``, its files of configuration) or in ``AWS_MAX_ATTEMPTS`` counts
before ours.

    files, root = file_system("s3://bucket/work")
    found = patiently(lambda: files.info(root), files, PATIENCE)
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import fsspec
from fsspec.asyn import sync_wrapper

from vdbcluster.errors import UsageError

T = TypeVar("T")
_S3 = ("s3", "s3a")
_BROKEN_OFF = ("Timeout", "Connection", "Incomplete", "Payload")
"""In the names of what is raised where nobody answers, or breaks off: each store's package has its
own, and cannot be imported where it is not installed."""
_ITS_OWN = (errno.EIO, errno.EBUSY)
"""What answers that tell of trouble in the store itself become, such as "slow down"."""
_SLOWEST = 1 << 20
"""Bytes a second that a store takes at least."""
_BETWEEN = 1.0
"""Seconds that a client waits between two tries, about."""
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0


@dataclass(frozen=True, slots=True)
class Patience:
    """With a store: a request that has no answer after ``answer`` seconds is sent again, ``tries``
    times in all; a use that is broken off is begun again until ``pause`` seconds are over.

    ``tries`` x ``answer`` should be more than ``pause``, which is then survived by either.
    """

    answer: float = 15.0
    tries: int = 4
    pause: float = 30.0


PATIENCE = Patience()


class StoreTimeoutError(OSError):
    """A request took too long; no ``TimeoutError``, whose words fsspec loses."""


def file_system(url: str, patience: Patience = PATIENCE) -> tuple[Any, str]:
    """The fsspec file system of a path or URL, and the folder in it.

    Raises ``UsageError`` if fsspec does not know the URL, or lacks its package.
    """
    ours = _of_s3(patience) if url.partition("://")[0] in _S3 else {}
    try:
        files, root = fsspec.core.url_to_fs(url, use_listings_cache=False, **ours)
    except (ImportError, ValueError) as error:
        raise UsageError(f"pieces cannot be kept in {shown(url)}: {error}") from error
    if ours:
        _bound(files, ours["config_kwargs"])
    return files, root.rstrip("/")


def is_local(files: Any) -> bool:
    """Whether it is that of this machine."""
    return isinstance(files, fsspec.get_filesystem_class("file"))


def patiently(use: Callable[[], T], files: Any, patience: Patience) -> T:
    """What ``use`` gives; it can be done twice. Raises what it raised last."""
    begin, wait = time.monotonic(), _FIRST_WAIT
    while True:
        try:
            return use()
        except Exception as error:
            meant = _meant(error)
            over = time.monotonic() - begin >= patience.pause
            if over or is_local(files) or not _may_pass(meant):
                if meant is error:
                    raise
                raise meant from None
        time.sleep(min(wait, patience.pause))
        wait = min(2 * wait, _LONGEST_WAIT)


def is_silent(error: BaseException) -> bool:
    """Whether it says that somebody did not answer in time."""
    return _named(error, ("Timeout",))


def told_by(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def shown(url: str) -> str:
    """A path or URL as it may be told: without user and password."""
    scheme, found, rest = url.partition("://")
    if not found:
        return url
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def _of_s3(patience: Patience) -> dict[str, Any]:
    """Options of s3fs; those given here would replace the user's, so that they are put together."""
    config: dict[str, Any] = {"read_timeout": patience.answer}
    if "AWS_MAX_ATTEMPTS" not in os.environ:
        config["retries"] = {"total_max_attempts": patience.tries}
    for scheme in _S3:
        config |= fsspec.config.conf.get(scheme, {}).get("config_kwargs") or {}
    return {"config_kwargs": config}


def _bound(files: Any, config: dict[str, Any]) -> None:
    """Have each request of s3fs end.

    s3fs would try five times what its client has tried already, and read so 25 times. The client's
    times do not count while it sends, nor while it waits to be told to send (``Expect``): a store
    that hangs then would be waited for without end.
    """
    files.retries = 1
    if "_call_s3" in vars(files):  # instances are shared
        return
    call = files._call_s3
    tries = (config.get("retries") or {}).get("total_max_attempts")
    tries = int(tries or os.environ.get("AWS_MAX_ATTEMPTS") or PATIENCE.tries)
    patient = tries * (config["read_timeout"] + _BETWEEN)

    async def bounded(method: str, *options: Any, **more: Any) -> Any:
        seconds = patient + _size(more.get("Body")) / _SLOWEST
        try:
            return await asyncio.wait_for(call(method, *options, **more), seconds)
        except TimeoutError as error:
            told = f"{method} took more than {seconds:.0f} s"
            raise StoreTimeoutError(f"{told} at {files.s3.meta.endpoint_url}") from error

    files._call_s3 = bounded
    files.call_s3 = sync_wrapper(bounded, obj=files)


def _size(body: Any) -> int:
    """Bytes of a request: of a buffer, or of a file of this machine."""
    if body is None:
        return 0
    return len(body) if hasattr(body, "__len__") else os.fstat(body.fileno()).st_size


def _meant(error: Exception) -> Exception:
    """s3fs looks for a number in what was raised when an answer stopped, and fails over it."""
    before = error.__context__
    return before if isinstance(error, IndexError) and isinstance(before, Exception) else error


def _may_pass(error: BaseException) -> bool:
    return _named(error, _BROKEN_OFF) or (isinstance(error, OSError) and error.errno in _ITS_OWN)


def _named(error: BaseException, words: tuple[str, ...]) -> bool:
    return any(word in kind.__name__ for kind in type(error).__mro__ for word in words)
