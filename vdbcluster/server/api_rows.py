"""``/api/search``, ``/api/rows``, ``/api/duplicates``, ``/api/noise``: rows as they are now.

In: ``Services``. Out: routes.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.live import Chosen
from vdbcluster.pipeline.browse import Browser, Found
from vdbcluster.pipeline.browse_services import Services
from vdbcluster.server import render, shapes

KeyQuery = Annotated[str, Query(max_length=66_000, description="The key of a row, as text.")]


def row_routes(services: Services) -> APIRouter:
    """Searching, one row, rows like it, duplicates, noise."""
    browser, routes = services.browser, APIRouter(prefix="/api", tags=["rows"])

    @routes.get("/search", summary="Rows near a text, within clusters")
    def search(
        clusters: shapes.Clusters,
        q: shapes.Text = "",
        filter: shapes.Filter = "",  # noqa: A002 - as everybody calls it
        limit: shapes.Limit = 20,
        offset: Annotated[int, Query(ge=0, le=shapes.MOST_OFFSET)] = 0,
        assignment: shapes.Assignment = "",
        facets: Annotated[bool, Query(description="Count clusters; a second search.")] = True,
    ) -> shapes.Results:
        """Without `q` rows in order of key. `cluster` and `filter` narrow the search itself."""
        chosen = Chosen(tuple(clusters), assignment, filter.strip())
        return _results(browser, browser.search(q, chosen, limit, offset, facets=facets))

    @routes.get("/rows/{key}", summary="One row, with all its fields")
    def row(key: shapes.RowKeyText) -> shapes.Row:
        return _row(browser, key)

    @routes.get("/row", summary="The same for keys that no path can have, such as a/b")
    def row_by_query(key: KeyQuery) -> shapes.Row:
        return _row(browser, key)

    @routes.get("/rows/{key}/similar", summary="Rows near a row")
    def similar(
        key: shapes.RowKeyText, clusters: shapes.Clusters, limit: shapes.Limit = 20
    ) -> shapes.Results:
        return _similar(browser, key, clusters, limit)

    @routes.get("/row/similar", summary="The same for keys that no path can have")
    def similar_by_query(
        key: KeyQuery, clusters: shapes.Clusters, limit: shapes.Limit = 20
    ) -> shapes.Results:
        return _similar(browser, key, clusters, limit)

    @routes.get("/duplicates", summary="Rows that are marked as duplicates, by the row to keep")
    def duplicates(limit: shapes.Limit = 50, after: shapes.After = "") -> shapes.Copies:
        """A group is shown with those of its copies that are on this page."""
        shelved, marked, groups, last = browser.copies(limit, after)
        shown = browser.fields()
        made = [
            shapes.CopyGroup(
                kept=None if group.kept is None else render.row(group.kept, shown, shelved),
                copies=render.rows(group.copies, shown, shelved),
            )
            for group in groups
        ]
        return shapes.Copies(run_id=shelved.run_id, marked=marked, groups=made, after=last or None)

    @routes.get("/noise", summary="Rows that no cluster took, by key")
    def noise(limit: shapes.Limit = 50, after: shapes.After = "") -> shapes.Rows:
        shelved, page = browser.rows_of(Chosen(clusters=(NOISE,)), limit, after)
        last = str(page.rows[-1].key) if page.more else None
        made = render.rows(page.rows, browser.fields(), shelved)
        return shapes.Rows(run_id=shelved.run_id, rows=made, after=last)

    return routes


def _row(browser: Browser, key: str) -> shapes.Row:
    shelved, found = browser.row(key)
    return render.row(found, browser.fields(), shelved, whole=True)


def _similar(browser: Browser, key: str, clusters: list[int], limit: int) -> shapes.Results:
    return _results(browser, browser.similar_rows(key, Chosen(tuple(clusters)), limit))


def _results(browser: Browser, found: Found) -> shapes.Results:
    shelved = found.shelved
    return shapes.Results(
        run_id=shelved.run_id,
        rows=render.rows(found.rows, browser.fields(), shelved),
        facets=[
            shapes.Facet(id=facet.id, title=shelved.title(facet.id), count=facet.count)
            for facet in found.facets
        ],
        facet_rows=found.facet_rows,
        ms=round(found.seconds * 1000, 1),
    )
