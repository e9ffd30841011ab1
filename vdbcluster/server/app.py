"""The search UI as an ASGI application: the page, its files, the JSON API beside it.

In: ``Services``, ``Access``. Out: a FastAPI application.
Promise: everything passes ``Guard`` first; every answer is JSON but for the page and its files;
nothing is fetched from anywhere else; the API is described at ``/api/openapi.json`` and, for
people, at ``/api/docs``.

    uvicorn.run(create_app(services, Access(token="...")))
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from vdbcluster import __version__
from vdbcluster.pipeline.browse_services import Services
from vdbcluster.server.access import Access
from vdbcluster.server.api_about import about_routes
from vdbcluster.server.api_clusters import cluster_routes
from vdbcluster.server.api_edits import edit_routes
from vdbcluster.server.api_rows import row_routes
from vdbcluster.server.docs import docs_routes
from vdbcluster.server.files import file_routes
from vdbcluster.server.problems import handle_problems
from vdbcluster.server.security import Guard
from vdbcluster.server.shapes import Problem

ABOUT = """Search and browse a Milvus collection by its clusters.

Keys of rows are text, also where the collection has whole numbers. An error is `{"error": "one
line"}`. With a token set, send `Authorization: Bearer TOKEN`. A change needs the header
`X-Vdbcluster: edit` and `Content-Type: application/json`."""
SMALLEST = 1_024
"""Bytes from which an answer is packed."""


def create_app(
    services: Services, access: Access | None = None, warn: Callable[[str], None] = lambda _: None
) -> FastAPI:
    """See the module. ``warn``: told in a line of what failed on the side of the server."""
    known = access or Access()
    app = FastAPI(
        title="vdbcluster",
        version=__version__,
        description=ABOUT,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={400: {"model": Problem}},
    )
    handle_problems(app, warn)
    for routes in (
        about_routes(services, known),
        cluster_routes(services),
        row_routes(services),
        edit_routes(services),
        docs_routes(app),
        file_routes(),
    ):
        app.include_router(routes)
    app.add_middleware(GZipMiddleware, minimum_size=SMALLEST, compresslevel=5)
    app.add_middleware(Guard, access=known)
    return app
