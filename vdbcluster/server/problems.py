"""Errors as answers: one line of JSON, and the code that says whose fault it is.

In: exceptions. Out: ``{"error": line}``. Promise: no traceback and no name of a module leaves the
server; what nobody foresaw is logged, with its place, in a line.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import PurePath

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from vdbcluster.errors import (
    BackendError,
    BackendUnavailableError,
    CollectionChangedError,
    LockedError,
    RefusedError,
    UsageError,
    VdbclusterError,
)
from vdbcluster.pipeline.browse import NoClusterError
from vdbcluster.pipeline.browse_text import NoTextSearchError
from vdbcluster.ports.live import NoRowError

LONGEST = 500
Say = Callable[[str], None]


class EditingOffError(VdbclusterError):
    """Somebody wants to edit where nobody may."""

    def __init__(self) -> None:
        super().__init__("this server shows and changes nothing; start it with --allow-edit")


_CODES: tuple[tuple[type[VdbclusterError], int], ...] = (
    (EditingOffError, 403),
    (NoClusterError, 404),
    (NoRowError, 404),
    (NoTextSearchError, 409),
    (UsageError, 400),
    (LockedError, 409),
    (RefusedError, 409),
    (BackendUnavailableError, 503),
    (CollectionChangedError, 503),
    (BackendError, 502),
)


def code_of(error: VdbclusterError) -> int:
    """The status that an error is answered with."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), 500)


def answer(status: int, line: str) -> JSONResponse:
    """One line, whatever it was made of."""
    text = " ".join(line.split())
    shown = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return JSONResponse({"error": shown}, status)


def handle_problems(app: FastAPI, warn: Say) -> None:
    """``warn``: told of what is the fault of the server or of the database."""

    @app.exception_handler(VdbclusterError)
    def ours(_: Request, error: Exception) -> JSONResponse:
        status = code_of(error) if isinstance(error, VdbclusterError) else 500
        if status >= 500:
            warn(str(error))
        return answer(status, str(error))

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:]) or "the request"
        shown = str(first.get("input"))[:60]
        return answer(400, f"{place}: {first['msg']} (it is {shown!r}); see /api/docs")

    @app.exception_handler(HTTPException)
    def plain(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        lines = {
            404: f"there is no {request.url.path[:100]!r}; see /api/docs",
            405: f"{request.method} is not to be had of {request.url.path[:100]!r}; see /api/docs",
        }
        return answer(error.status_code, lines.get(error.status_code, str(error.detail)))

    @app.exception_handler(Exception)
    def unforeseen(request: Request, error: Exception) -> JSONResponse:
        place = traceback.extract_tb(error.__traceback__)[-1]
        warn(
            f"{request.method} {request.url.path}: {type(error).__name__}: {error} "
            f"({PurePath(place.filename).name}:{place.lineno})"
        )
        return answer(500, "the server failed; its log says more")
