"""A bucket of a server on this machine that speaks the protocol of S3.

In: nothing. Out: its URL, while the context is open; processes that are started meanwhile know by
their environment where it is. A test is skipped where its packages are not installed.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import fsspec
import pytest

BUCKET = "pieces"


@contextmanager
def bucket() -> Iterator[str]:
    """Empty at first."""
    pytest.importorskip("s3fs")
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        with pytest.MonkeyPatch.context() as environment:
            host, port = server.get_host_and_port()
            environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
            environment.setenv("AWS_ACCESS_KEY_ID", "test")
            environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
            fsspec.filesystem("s3").mkdir(BUCKET)
            yield f"s3://{BUCKET}"
    finally:
        server.stop()
        _forget()


def _forget() -> None:
    """Sockets that this server and its clients leave open are not to be found by a later test."""
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
