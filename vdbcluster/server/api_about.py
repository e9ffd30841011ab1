"""``/api/collection``, ``/api/map``, ``/api/health``, ``/api/login``.

In: ``Services``, ``Access``. Out: routes.
"""

from __future__ import annotations

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from vdbcluster import __version__
from vdbcluster.errors import UsageError, VdbclusterError
from vdbcluster.pipeline.browse_services import Services
from vdbcluster.server import render, shapes
from vdbcluster.server.access import SESSION, Access
from vdbcluster.server.problems import answer
from vdbcluster.server.security import TOO_MANY, client_of

NO_MAP = "no run of this collection has a map; vdbcluster map last makes one"
DIGITS = 4


def about_routes(services: Services, access: Access) -> APIRouter:
    """What is served here, and its map."""
    browser, routes = services.browser, APIRouter(prefix="/api", tags=["about"])

    @routes.get("/health", summary="Whether the server answers; needs no token")
    def health() -> shapes.Health:
        return shapes.Health()

    @routes.get("/collection", summary="What is served here")
    def collection() -> shapes.CollectionInfo:
        profile, shown = browser.profile(), browser.fields()
        shelved, state = browser.shelf.now(), browser.search_state()
        has_map = services.maps.newest(profile.identity) is not None
        vector = browser.live.vector_field
        return shapes.CollectionInfo(
            collection=profile.name,
            rows=profile.rows,
            key_type=profile.key.type,
            vector_field=vector.name,
            metric=vector.metric,
            text_field=shown.text,
            image_field=shown.image,
            fields=[shapes.FieldInfo(name=s.name, type=s.type) for s in profile.scalars],
            shown_fields=list(shown.few),
            label_prefix=services.prefix,
            way=browser.live.labels_in,
            run=_run(services, shelved.run_id),
            search=shapes.SearchInfo(
                available=state.available, reason=state.reason, embedder=state.embedder
            ),
            editable=services.editing is not None,
            map=has_map,
            map_advice="" if has_map else NO_MAP,
            login=access.needs_token,
            version=__version__,
        )

    @routes.get("/map", summary="Where rows lie on the map of the newest run that has one")
    def map_points() -> shapes.MapPoints:
        """At most 200,000 points, a fixed sample of more. Labels are those of that run."""
        shelved = browser.shelf.now()
        found = services.maps.read(browser.profile().identity, shelved.catalogue)
        if found is None:
            raise UsageError(NO_MAP)
        points, made = (
            found.points.astype(np.float64).round(DIGITS),
            render.showing(services, shelved),
        )
        there = set(found.labels.tolist())
        return shapes.MapPoints.model_construct(
            run_id=found.run_id,
            keys=[str(key) for key in found.keys.tolist()],
            x=points[:, 0].tolist(),
            y=points[:, 1].tolist(),
            labels=found.labels.tolist(),
            rows=found.rows,
            clusters=[made.cluster(entry) for entry in shelved.entries if entry.id in there],
        )

    @routes.post("/login", summary="Begin a session: the token for a cookie")
    def login(news: shapes.Login, request: Request) -> Response:
        address = client_of(request.scope)
        if not access.may_try(address):
            return answer(*TOO_MANY)
        if not access.needs_token or not access.knows(news.token):
            access.tried_in_vain(address)
            return answer(401, "the access token is wrong")
        done = JSONResponse({"ok": True})
        done.set_cookie(
            access.cookie,
            access.session(),
            max_age=SESSION,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
            path="/",
        )
        return done

    @routes.post("/logout", summary="End the session of this browser")
    def logout() -> Response:
        done = JSONResponse({"ok": True})
        done.delete_cookie(access.cookie, path="/", httponly=True, samesite="strict")
        return done

    return routes


def _run(services: Services, run_id: str | None) -> shapes.RunInfo | None:
    if not run_id:
        return None
    try:
        at = services.runs.load(run_id).started
    except VdbclusterError:  # its record is kept elsewhere
        at = ""
    return shapes.RunInfo(id=run_id, at=at)
