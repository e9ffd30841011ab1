"""The page and the files that it loads, all from this machine.

In: nothing. Out: routes. Promise: what can be asked for is a list that is made when the server
starts; a name of a file in a request is looked up in it and is never part of a path. Browsers ask
again each time and are told by a digest that they have the file already.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".json": "application/json",
}
PLACES = ("vdbcluster.server.assets", "vdbcluster.server.docs")
"""Packages whose files are served; where two have a name, the first counts."""
PAGE = "index.html"
ICON = "icon.svg"


@dataclass(frozen=True, slots=True)
class File:
    """``tag``: changes when the content does."""

    content: bytes
    type: str
    tag: str


@dataclass(slots=True)
class _Files:
    """Those that there are, read when they are first asked for."""

    paths: dict[str, Traversable]
    read: dict[str, File] = field(default_factory=dict)

    def get(self, name: str) -> File | None:
        if name not in self.paths:
            return None
        if name not in self.read:
            content = self.paths[name].read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
            self.read[name] = File(content, TYPES[_suffix(name)], tag)
        return self.read[name]


def file_routes() -> APIRouter:
    """``/`` and ``/assets/NAME``."""
    routes = APIRouter(include_in_schema=False)
    files = _Files({path.name: path for path in _listed()})

    @routes.api_route("/", methods=["GET", "HEAD"])
    def page(request: Request) -> Response:
        return _sent(request, files.get(PAGE))

    @routes.api_route("/assets/{name}", methods=["GET", "HEAD"])
    def asset(name: str, request: Request) -> Response:
        return _sent(request, files.get(name))

    @routes.api_route("/favicon.ico", methods=["GET", "HEAD"])
    def icon(request: Request) -> Response:
        return _sent(request, files.get(ICON))

    return routes


def _sent(request: Request, found: File | None) -> Response:
    if found is None:
        raise HTTPException(404)
    headers = {"ETag": found.tag, "Cache-Control": "no-cache"}
    if found.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(found.content, media_type=found.type, headers=headers)


def _listed() -> Iterable[Traversable]:
    for place in reversed(PLACES):
        folder = resources.files(place)
        if folder.is_dir():
            yield from (one for one in folder.iterdir() if _suffix(one.name) in TYPES)


def _suffix(name: str) -> str:
    return name[name.rfind(".") :] if "." in name else ""
