"""``vdbcluster``: what the command ends with.

Exit codes: 0 done, 1 error, 2 wrong use, 3 the plan has changes, 4 refused by a safety check, 5
locked by another run, 130 interrupted. An error is one line on standard error; ``-v`` shows where
it came from. Nothing heavy is imported up here, so that an interrupt is answered from the start.
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import sys
from typing import NoReturn

from vdbcluster.cli.ending import say_last
from vdbcluster.cli.hiding import hide_secrets
from vdbcluster.cli.interrupts import answer_interrupts, end_at_once
from vdbcluster.cli.printable import printable
from vdbcluster.errors import VdbclusterError, out_of_memory

INTERRUPTED = 130
OBJECTS = 50_000
"""Made between two looks of the garbage collector: imports and pages of rows make millions, and
hardly a cycle among them."""
INTERRUPT_LINE = "vdbcluster: interrupted; no row was harmed. Run the same command again to finish"


def main() -> NoReturn:
    """Entry point of the console script."""
    hide_secrets()
    answer_interrupts()
    gc.set_threshold(OBJECTS, 20, 100)
    atexit.register(gc.freeze)  # last of all: the process ends, so nobody has to look for garbage
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own lines about idle channels help nobody
    verbose = "-v" in sys.argv[1:] or "--verbose" in sys.argv[1:]
    logging.basicConfig(level=logging.WARNING if verbose else logging.CRITICAL)
    try:
        from vdbcluster.cli.app import app

        app()
    except (VdbclusterError, MemoryError) as error:
        if verbose:
            logging.getLogger("vdbcluster").exception("failed")
        told = out_of_memory(error) if isinstance(error, MemoryError) else error
        _end(f"vdbcluster: {told}", told.exit_code)
    except KeyboardInterrupt:
        _end(INTERRUPT_LINE, INTERRUPTED)
    except BrokenPipeError:
        _end("", 1)
    except OSError as error:
        _end(f"vdbcluster: {error.strerror or error}: {error.filename or 'output'}", 1)
    except SystemExit as error:  # typer turns an interrupt into one
        if error.code == INTERRUPTED:
            _end(INTERRUPT_LINE, INTERRUPTED)
        raise
    sys.exit(0)


def _end(line: str, code: int) -> NoReturn:
    line = " ".join(line.split())
    if line and not say_last(line.removeprefix("vdbcluster: "), code):
        sys.stderr.write(printable(line) + "\n")
    sys.stderr.flush()
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if code == INTERRUPTED:
        end_at_once(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
