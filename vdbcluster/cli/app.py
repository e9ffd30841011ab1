"""The commands, and the options that they share."""

from __future__ import annotations

from typing import Annotated

import typer

from vdbcluster import __version__
from vdbcluster.cli.assign import assign
from vdbcluster.cli.classify import classify
from vdbcluster.cli.clusters import clusters
from vdbcluster.cli.demo import demo
from vdbcluster.cli.dense import dense
from vdbcluster.cli.diff import diff
from vdbcluster.cli.embed_server import embed_server
from vdbcluster.cli.evaluate import evaluate
from vdbcluster.cli.explain import explain
from vdbcluster.cli.export import export
from vdbcluster.cli.ingest import ingest
from vdbcluster.cli.inspect import inspect
from vdbcluster.cli.map import map_
from vdbcluster.cli.options import with_settings
from vdbcluster.cli.report import report
from vdbcluster.cli.rollback import rollback
from vdbcluster.cli.run import apply, plan, run
from vdbcluster.cli.runs import runs
from vdbcluster.cli.serve import serve
from vdbcluster.cli.sweep import sweep
from vdbcluster.cli.worker import worker
from vdbcluster.config.explain import ALONE, WORDS
from vdbcluster.config.features import LEARNING
from vdbcluster.config.map import LAYING, WRITING
from vdbcluster.config.milvus import CONNECTION

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


app.command()(
    with_settings(
        "milvus",
        "neighbors",
        "cluster",
        "scale",
        "duplicates",
        "write",
        "lock",
        "gate",
        "run",
        "telemetry",
        explain=("after_run",),
        map=WRITING,
    )(run)
)
app.command()(
    with_settings(
        "milvus",
        "neighbors",
        "cluster",
        "scale",
        "duplicates",
        "write",
        "gate",
        "run",
        telemetry=("log_format", "job"),
        map=WRITING,
    )(plan)
)
app.command()(
    with_settings(
        "gate",
        "lock",
        "telemetry",
        milvus=CONNECTION,
        run=("runs_dir",),
        write=("rate",),
    )(apply)
)
app.command()(with_settings(milvus=CONNECTION, run=("runs_dir",))(diff))
app.command()(
    with_settings("lock", "telemetry", milvus=CONNECTION, run=("runs_dir",), write=("rate",))(
        rollback
    )
)
app.command()(
    with_settings("milvus", "assign", "lock", "run", "telemetry", write=("label_prefix", "rate"))(
        assign
    )
)
app.command()(
    with_settings(
        "commentary",
        "chat",
        milvus=CONNECTION,
        run=("runs_dir", "text_field"),
        duplicates=("texts", "most", "chance"),
        features=LEARNING,
        explain=(*ALONE, *WORDS),
    )(explain)
)
app.command()(
    with_settings(
        source=("format", "encoding", "delimiter"),
        features=("threshold",),
        run=("runs_dir",),
    )(classify)
)
app.command()(
    with_settings(
        "milvus",
        map=LAYING,
        write=("label_prefix", "adopt"),
        run=("runs_dir", "text_field", "seed"),
    )(export)
)
app.command("map")(
    with_settings(
        "picture",
        milvus=CONNECTION,
        map=LAYING,
        run=("runs_dir", "text_field", "seed"),
    )(map_)
)
app.command()(
    with_settings(
        "report",
        milvus=CONNECTION,
        map=("afresh", "layout_seed"),
        run=("runs_dir", "text_field"),
    )(report)
)
app.add_typer(runs, name="runs")
app.add_typer(clusters, name="clusters")
app.command()(with_settings("milvus", "neighbors", "cluster", "scale", "write", "run")(inspect))
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
app.command()(
    with_settings(
        "milvus",
        "dense",
        "commentary",
        "chat",
        neighbors=(
            "engine",
            "n_neighbors",
            "metric",
            "effort",
            "concurrency",
            "batch",
            "center",
            "memory_mb",
        ),
        duplicates=("texts", "most", "chance"),
        explain=("commentary", "keywords", "n_keywords", "n_grams", *WORDS),
        write=("accept_mismatch",),
        run=("seed", "text_field"),
    )(dense)
)
app.command()(demo)
app.command()(
    with_settings(
        "source",
        "embed",
        "ingest",
        milvus=(
            *(name for name in CONNECTION if name not in ("page_bytes", "load")),
            "db",
            "collection",
        ),
        write=("label_prefix",),
        run=("runs_dir",),
    )(ingest)
)
app.command("embed-server")(embed_server)
app.command()(
    with_settings(
        "serve",
        "milvus",
        "write",
        "lock",
        embed=(
            "embedder",
            "base_url",
            "model",
            "api_key",
            "dimensions",
            "prefix",
            "timeout",
            "cache",
        ),
        run=("runs_dir", "text_field"),
        telemetry=("log_format",),
    )(serve)
)
app.command()(
    with_settings(
        "milvus",
        "neighbors",
        "cluster",
        "scale",
        "duplicates",
        "assign",
        "write",
        "lock",
        "gate",
        "run",
        "telemetry",
        "worker",
        explain=("after_run",),
        map=WRITING,
    )(worker)
)
