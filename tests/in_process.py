"""``vdbcluster`` in this process: what the command would do, without the start of an interpreter.

In: a working directory, arguments, variables of the environment. Out: exit code, standard output
and standard error. Promise: it goes through the entry point of the command, so that lines and codes
are those that a person meets; nothing of this process stays changed, and a Lite file that
``--uri`` names is free again for any other.

Not for what belongs to a process: signals, its memory, how it starts, secrets in its arguments.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace

import pytest
from milvus_lite.server_manager import server_manager_instance
from pymilvus import MilvusClient

from tests import backends
from tests.backends import Backend
from vdbcluster.cli import ending
from vdbcluster.cli import main as command


def vdbcluster(
    folder: Path, *arguments: str, environment: dict[str, str] | None = None
) -> CompletedProcess[str]:
    """The command with these arguments in ``folder``; standard input is empty."""
    out, err = _captured(), _captured()
    with pytest.MonkeyPatch.context() as patch, Path(os.devnull).open() as nothing:
        patch.chdir(folder)
        for name in [name for name in os.environ if name.startswith("VDBCLUSTER__")]:
            patch.delenv(name)
        for name, value in {"GRPC_VERBOSITY": "NONE", **(environment or {})}.items():
            patch.setenv(name, value)
        for name, stream in (("stdin", nothing), ("stdout", out), ("stderr", err)):
            patch.setattr(sys, name, stream)
        patch.setattr(sys, "argv", ["vdbcluster", *arguments])
        patch.setattr(ending, "_said_by", [])
        # What the command does to its own process
        patch.setattr(command, "answer_interrupts", _not)
        patch.setattr(command, "gc", SimpleNamespace(set_threshold=_not, freeze=_not))
        patch.setattr(command, "atexit", SimpleNamespace(register=_not))
        handlers = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            command.main()
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            for one, handler in handlers.items():
                signal.signal(one, handler)
            _released(folder, arguments)
    return CompletedProcess(list(arguments), code, _text(out), _text(err))


@contextmanager
def lite(path: Path) -> Iterator[MilvusClient]:
    """A client on a Lite file, which is free again afterwards."""
    try:
        with backends.connected(Backend(backends.LITE_FILE, str(path))) as client:
            yield client
    finally:
        server_manager_instance.release_server(str(path))


def _released(folder: Path, arguments: tuple[str, ...]) -> None:
    for before, argument in zip(("", *arguments), arguments, strict=False):
        uri = argument if before == "--uri" else argument.removeprefix("--uri=")
        if uri.endswith(".db"):
            server_manager_instance.release_server(str(folder / uri))


def _captured() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()


def _not(*_: object) -> None:
    """In place of what would outlast the command."""
