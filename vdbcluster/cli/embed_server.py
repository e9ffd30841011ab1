"""``vdbcluster embed-server``."""

from __future__ import annotations

from typing import Annotated

import typer

from vdbcluster.cli.observer import TerminalObserver


def embed_server(
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port; 0 takes a free one.")] = 8000,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")] = False,  # noqa: ARG001
) -> None:
    """Serve the local model as an OpenAI-compatible endpoint, to try ingest without an API.

    Needs the extra vdbcluster[local]. Ends on Ctrl-C.

    Example: vdbcluster embed-server --port 8000, then
    vdbcluster ingest news.csv -c news --embed-base-url http://127.0.0.1:8000/v1
    """
    from vdbcluster.wiring.ingest import embedding_server

    server = embedding_server(host, port)
    TerminalObserver().note(f"listening at {server.url}; Ctrl-C ends it")
    try:
        server.serve_forever()
    except KeyboardInterrupt:  # the way in which it is meant to end
        TerminalObserver().note("ended")
    finally:
        server.server_close()
