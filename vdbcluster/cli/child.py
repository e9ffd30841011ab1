"""``python -m vdbcluster.cli.child run ...``: a command that a worker has started.

In: the arguments of ``vdbcluster``, a pipe as standard input. Out: what the command gives.
Promise: if the other end of the pipe goes, as that of a worker that was killed, the command is
interrupted as by Ctrl-C, and ended if that takes longer than ``PATIENCE`` seconds.
"""

from __future__ import annotations

import os
import signal
import threading
import time

from vdbcluster.cli.main import INTERRUPTED, main

PATIENCE = 30.0


def _watch() -> None:
    while os.read(0, 4096):  # not sys.stdin, whose lock a dying interpreter wants
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    threading.Thread(target=_watch, name="parent", daemon=True).start()
    main()
