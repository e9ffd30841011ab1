"""``vdbcluster serve``."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from vdbcluster.cli.logs import observer_of
from vdbcluster.cli.printable import printable
from vdbcluster.config.settings import Settings
from vdbcluster.errors import UsageError

if TYPE_CHECKING:
    from vdbcluster.pipeline.browse_services import Services
    from vdbcluster.ports import Observer


def serve(
    settings: Settings,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")] = False,  # noqa: ARG001
) -> None:
    """Serve a page on which people search and browse the collection by its clusters.

    Texts are searched for by the embedder that filled the collection: name it as for ingest. It
    reads only, unless --allow-edit lets people rename, describe, pin, hide and merge clusters. It
    answers on this machine alone; any other --host needs --access-token. The JSON API behind the
    page is described at /api/docs. A Milvus Lite file is held as long as this serves: to run or
    assign meanwhile, put milvus-lite server before the file.

    Example: vdbcluster serve -c articles --embedder local
    """
    _check(settings)
    from vdbcluster.server.access import Access
    from vdbcluster.server.app import create_app
    from vdbcluster.server.listen import address_of, listening
    from vdbcluster.server.listen import serve as serve_on
    from vdbcluster.wiring.serving import open_services

    observer, asked = observer_of(settings, "serve"), settings.serve
    sock = listening(asked.host, asked.port)
    port = int(sock.getsockname()[1])
    token = asked.access_token.get_secret_value()
    with sock, open_services(settings, observer) as services:
        access = Access(asked.host, token, asked.allow_hosts, port)
        app = create_app(services, access, observer.warn)
        _tell(services, settings, observer)
        serve_on(app, sock, lambda: _say(address_of(sock)))
    observer.note("ended")


def _check(settings: Settings) -> None:
    """What cannot work, before anything is opened."""
    if find_spec("fastapi") is None or find_spec("uvicorn") is None:
        raise UsageError("vdbcluster serve needs the extra serve; pip install 'vdbcluster[serve]'")
    from vdbcluster.server.access import is_loopback

    asked = settings.serve
    if not is_loopback(asked.host) and not asked.access_token.get_secret_value():
        raise UsageError(
            f"others can reach {asked.host}, so whoever asks must know a token; set "
            "VDBCLUSTER__SERVE__ACCESS_TOKEN, or leave --host out"
        )


def _tell(services: Services, settings: Settings, observer: Observer) -> None:
    """What a person should know who starts it."""
    browser, state = services.browser, services.browser.search_state()
    if not state.available:
        observer.warn(f"no search for texts: {state.reason}")
    if browser.shelf.now().catalogue is None:
        observer.warn("there is no catalogue of clusters yet; vdbcluster run makes it")
    if "://" not in settings.milvus.uri and not settings.milvus.uri.startswith("unix:"):
        observer.note(f"{settings.milvus.uri} is held by this process until it ends")


def _say(url: str) -> None:
    sys.stdout.write(printable(url) + "\n")
    sys.stdout.flush()
