"""A process that holds a lock: ``python -m tests.contract.lock_holder KIND PLACE NAME ...``.

Says ``held`` once it has the lock, then answers each line on its standard input with ``ok`` or with
the error of ``check``. Ends in good order when that closes, and like the command line on an error
or an interrupt. With ``witness FILE ROUNDS`` it takes the lock so often instead, and fails if it
ever meets the file that all make while they have it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from tests.contract.lock_worlds import KINDS, World
from vdbcluster.adapters import processes
from vdbcluster.errors import LockedError


def main(kind: str, place: str, name: str, token: str, lease: str, wait: str, *more: str) -> int:
    if more[0] == "elsewhere":
        processes._machine = lambda: ""
    world = KINDS[kind](place, name, token)
    try:
        if "witness" in more:
            return witness(world, float(lease), Path(more[2]), int(more[3]))
        with world.lock(float(wait), float(lease)).held(f"run-{os.getpid()}") as held:
            say("held")
            for _ in sys.stdin:
                held.check()
                say("ok")
    except LockedError as error:
        say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    finally:
        world.close()
    return 0


def witness(world: World, lease: float, file: Path, rounds: int) -> int:
    """Nobody else may have the lock while we have it."""
    for _ in range(rounds):
        with world.lock(wait=120.0, lease=lease).held(f"run-{os.getpid()}") as held:
            os.close(os.open(file, os.O_CREAT | os.O_EXCL))  # raises if another holds the lock
            time.sleep(0.02)
            held.check()
            file.unlink()
    return 0


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupted)
    sys.exit(main(*sys.argv[1:]))
