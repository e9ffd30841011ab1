"""``/api/clusters``: what clusters there are, and each of them.

In: ``Services``. Out: routes. Promise: each answer is made of one reading of the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query

from vdbcluster.model.catalogue import CatalogueEntry
from vdbcluster.model.live import Chosen
from vdbcluster.pipeline.browse_services import Services
from vdbcluster.pipeline.browse_shelf import Shelved, titled
from vdbcluster.server import render, shapes

MEDOIDS = 500
"""Clusters of a list whose medoids are shown with their text."""
EXEMPLARS = 20
SIMILAR = 5
Order = Callable[[CatalogueEntry], Any]


def cluster_routes(services: Services) -> APIRouter:
    """Listing, one cluster, those like it, its rows."""
    browser, routes = services.browser, APIRouter(prefix="/api/clusters", tags=["clusters"])

    @routes.get("", summary="All clusters")
    def clusters(
        q: Annotated[str, Query(max_length=200, description="Words of name or keywords.")] = "",
        hidden: Annotated[bool, Query(description="Hidden ones too.")] = False,
        sort: shapes.Sort = "size",
    ) -> shapes.ClusterList:
        """With `hidden` also those that people merged into others."""
        shelved = browser.shelf.now()
        every = shelved.listed if hidden else [e for e in shelved.entries if not e.hidden]
        found = sorted((e for e in every if _matches(e, q)), key=_order(sort, shelved))
        made = render.showing(services, shelved, [e.medoid_key for e in found[:MEDOIDS]])
        return shapes.ClusterList(
            run_id=shelved.run_id,
            noise=browser.noise_rows(),
            clusters=[made.cluster(entry) for entry in found],
        )

    @routes.get("/{id}", summary="One cluster, with its card", responses=_none)
    def cluster(id: shapes.ClusterId) -> shapes.ClusterDetail:  # noqa: A002 - as in the path
        shelved, entry, similar = browser.similar_clusters(id, SIMILAR)
        keys = list(dict.fromkeys([entry.medoid_key, *entry.exemplar_keys[:EXEMPLARS]]))
        return render.showing(services, shelved, keys).detail(entry, similar)

    @routes.get("/{id}/similar", summary="Clusters like it, by their centroids", responses=_none)
    def similar(id: shapes.ClusterId, limit: shapes.Limit = 10) -> shapes.NearClusters:  # noqa: A002
        shelved, _, found = browser.similar_clusters(id, limit)
        near = [one for one in found if not one.entry.hidden]
        return shapes.NearClusters(run_id=shelved.run_id, clusters=[render.near(n) for n in near])

    @routes.get("/{id}/rows", summary="Its rows, by key")
    def rows(
        id: shapes.ClusterId,  # noqa: A002
        limit: shapes.Limit = 50,
        after: shapes.After = "",
    ) -> shapes.Rows:
        shelved, page = browser.rows_of(Chosen(clusters=(id,)), limit, after)
        last = str(page.rows[-1].key) if page.more else None
        made = render.rows(page.rows, browser.fields(), shelved)
        return shapes.Rows(run_id=shelved.run_id, rows=made, after=last)

    return routes


_none: dict[int | str, dict[str, Any]] = {404: {"model": shapes.Problem}}


def _matches(entry: CatalogueEntry, words: str) -> bool:
    """Whether every word is somewhere in what the cluster is told by, or is its number."""
    told = " ".join([str(entry.id), entry.name, entry.description, *entry.keywords]).casefold()
    return all(word in told for word in words.casefold().split())


def _order(sort: str, shelved: Shelved) -> Order:
    """Pinned ones first; what a cluster lacks comes last."""
    by: dict[str, Order] = {
        "size": lambda e: -e.size,
        "name": lambda e: titled(e).casefold(),
        "stability": lambda e: -_or_less(e.stability),
        "id": lambda e: e.id,
        "interest": lambda e: (
            -(found if (found := render.interest(e, shelved)) is not None else -1)
        ),
    }
    return lambda entry: (not entry.live, not entry.pinned, by[sort](entry), entry.id)


def _or_less(value: float | None) -> float:
    return -1.0 if value is None else value
