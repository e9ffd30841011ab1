"""``vdbcluster ingest``."""

from __future__ import annotations

from typing import Annotated

import typer

from vdbcluster.cli.observer import TerminalObserver
from vdbcluster.cli.render import print_json
from vdbcluster.cli.render_ingest import ingest_json, preview_json, print_ingest, print_preview
from vdbcluster.config.settings import Settings


def ingest(
    settings: Settings,
    source: Annotated[
        str,
        typer.Argument(help="File, folder of texts, or - for standard input.", metavar="SOURCE"),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show schema, ten rows and the estimate.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")] = False,  # noqa: ARG001
) -> None:
    """Put a file's rows into a collection, with their embeddings.

    Reads CSV, TSV, JSON, JSONL, Parquet, Arrow, .npy, .npz or a folder of texts
    in a stream, embeds the text by any OpenAI-compatible API (or takes the
    file's own vectors) and upserts by key. Interrupted anywhere, the same
    command goes on; run again, it adds nothing.

    Example: vdbcluster ingest news.csv -c news --text-field title --field year
    """
    observer = TerminalObserver()
    observer.note(f"Reading {source if source != '-' else 'standard input'} ...")
    from vdbcluster.wiring.ingest import ingest_job, preview_job

    if dry_run:
        preview = preview_job(source, settings, observer)
        if as_json:
            print_json(preview_json(preview))
        else:
            print_preview(preview)
        return
    result = ingest_job(source, settings, observer)
    if as_json:
        print_json(ingest_json(result))
    else:
        print_ingest(result)
