"""Changes of clusters: names, marks, merging. Where editing is off, all of them are refused.

In: ``Services``. Out: routes. Promise: what ``security`` demands of a change was checked before; an
edit is one step of the catalogue, a merge is a run that can be rolled back.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from vdbcluster.model.catalogue import CatalogueEntry
from vdbcluster.pipeline.browse_edits import Changes, Editing, edit_of
from vdbcluster.pipeline.browse_services import Services
from vdbcluster.server import render, shapes
from vdbcluster.server.problems import EditingOffError

_refused: dict[int | str, dict[str, Any]] = {
    code: {"model": shapes.Problem} for code in (400, 403, 409)
}


def edit_routes(services: Services) -> APIRouter:
    """Change, merge, unmerge."""
    browser = services.browser
    routes = APIRouter(prefix="/api/clusters", tags=["edits"], responses=_refused)

    def editing() -> Editing:
        if services.editing is None:
            raise EditingOffError
        return services.editing

    def shown(entry: CatalogueEntry) -> shapes.Cluster:
        browser.forget()
        return render.showing(services, browser.shelf.now(), [entry.medoid_key]).cluster(entry)

    @routes.patch("/{id}", summary="Rename, describe, pin or hide a cluster")
    def change(id: shapes.ClusterId, news: shapes.Change) -> shapes.Cluster:  # noqa: A002
        edit = edit_of(Changes(**news.model_dump()))
        return shown(editing().change(id, edit))

    @routes.post("/{id}/merge", summary="Give its rows the id of another cluster")
    def merge(id: shapes.ClusterId, news: shapes.MergeInto) -> shapes.Merged:  # noqa: A002
        found = editing().merge(id, news.into)
        return shapes.Merged(
            run_id=found.manifest.run_id,
            rows=found.rows,
            written=found.report.written,
            failed=found.report.failed + found.report.mismatched,
            cluster=shown(found.entry),
        )

    @routes.post("/{id}/unmerge", summary="Let a merged cluster come back with the next run")
    def unmerge(id: shapes.ClusterId) -> shapes.Cluster:  # noqa: A002
        return shown(editing().unmerge(id))

    return routes
