"""The commands, and the options that they share."""

from __future__ import annotations

from typing import Annotated

import typer

from vdbcluster import __version__
from vdbcluster.cli.demo import demo
from vdbcluster.cli.embed_server import embed_server
from vdbcluster.cli.evaluate import evaluate
from vdbcluster.cli.ingest import ingest
from vdbcluster.cli.inspect import inspect
from vdbcluster.cli.options import with_settings
from vdbcluster.cli.run import run
from vdbcluster.cli.sweep import sweep

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
app.command()(with_settings("milvus", "neighbors", "cluster", "write", "run")(inspect))
app.command()(with_settings("milvus", "neighbors", "cluster", "write", "run")(evaluate))
app.command()(
    with_settings(
        "milvus",
        "neighbors",
        cluster=(
            "cluster_selection_method",
            "cluster_selection_epsilon",
            "max_cluster_size",
            "allow_single_cluster",
            "join",
        ),
        write=("accept_mismatch",),
        run=("seed",),
    )(sweep)
)
app.command()(demo)
app.command()(
    with_settings(
        "source",
        "embed",
        "ingest",
        milvus=("uri", "token", "db", "collection", "timeout"),
        write=("label_prefix",),
        run=("runs_dir",),
    )(ingest)
)
app.command("embed-server")(embed_server)
