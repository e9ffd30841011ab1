"""``vdbcluster``: the commands, and what they end with.

Exit codes: 0 done, 1 error, 2 wrong use, 4 refused by a safety check, 5 locked by another run,
130 interrupted. An error is one line on standard error; ``-v`` shows where it came from.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer

from vdbcluster import __version__
from vdbcluster.cli.demo import demo
from vdbcluster.cli.inspect import inspect
from vdbcluster.cli.options import with_settings
from vdbcluster.cli.run import run
from vdbcluster.errors import VdbclusterError

INTERRUPTED = 130

app = typer.Typer(
    name="vdbcluster",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(shown: bool) -> None:
    if shown:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Cluster an existing Milvus collection and write the labels back, safely.

    Start with [bold]vdbcluster inspect[/bold], which changes nothing.
    """


app.command()(with_settings("milvus", "neighbors", "cluster", "write", "run")(run))
app.command()(with_settings("milvus", "neighbors", "cluster", "write")(inspect))
app.command()(demo)


def main() -> NoReturn:
    """Entry point of the console script."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own lines about idle channels help nobody
    verbose = "-v" in sys.argv[1:] or "--verbose" in sys.argv[1:]
    logging.basicConfig(level=logging.DEBUG if verbose else logging.CRITICAL)
    try:
        app()
    except VdbclusterError as error:
        if verbose:
            logging.getLogger("vdbcluster").exception("failed")
        _end(f"vdbcluster: {error}", error.exit_code)
    except KeyboardInterrupt:
        _end(
            "vdbcluster: interrupted; no row was harmed. Run the same command again to finish",
            INTERRUPTED,
        )
    sys.exit(0)


def _as_interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _end(line: str, code: int) -> NoReturn:
    sys.stderr.write(" ".join(line.split()) + "\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
