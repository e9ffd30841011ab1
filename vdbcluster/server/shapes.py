"""What the API takes and gives, as JSON.

In: nothing. Out: models that check what comes in, and that the documentation is made of.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from vdbcluster.model.live import LARGEST_ID

MOST_TEXT = 2_000
MOST_ROWS = 200
MOST_OFFSET = 10_000
MOST_CLUSTERS = 200

ClusterId = Annotated[int, Path(ge=0, le=LARGEST_ID, description="Stable id of a cluster.")]
RowKeyText = Annotated[
    str, Path(max_length=4_096, description="The key of a row, as text (percent-encoded).")
]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS, description="At most so many.")]
After = Annotated[str, Query(max_length=66_000, description="Where the page before ended.")]
AnyCluster = Annotated[int, Field(ge=-1, le=LARGEST_ID)]
Clusters = Annotated[
    list[AnyCluster],
    Query(
        alias="cluster",
        default_factory=list,
        max_length=MOST_CLUSTERS,
        description="Only rows of this cluster; repeatable; -1: noise.",
    ),
]
Text = Annotated[str, Query(max_length=MOST_TEXT, description="What to search for; empty: all.")]
Filter = Annotated[
    str,
    Query(max_length=MOST_TEXT, description="Expression of Milvus that rows must satisfy too."),
]
Assignment = Annotated[
    Literal["", "core", "soft", "noise"],
    Query(description="How rows came to their cluster."),
]
Sort = Annotated[
    Literal["size", "name", "stability", "id", "interest"],
    Query(description="Order, pinned ones first always."),
]


class Shape(BaseModel):
    """All answers."""

    model_config = ConfigDict(extra="forbid")


class Problem(Shape):
    """What went wrong, in one line."""

    error: str = Field(examples=["there is no cluster 99; /api/clusters lists them"])


class Health(Shape):
    ok: bool = True


class Named(Shape):
    """A cluster as it stands beside a row; id -1 is noise."""

    id: int = Field(examples=[7])
    title: str = Field(examples=["Late deliveries"])


class Row(Shape):
    """``cluster``: null where no run has labelled the row. ``score``: similarity for COSINE and IP,
    distance for all other metrics; null where nothing was searched for.
    """

    key: str = Field(examples=["4711"])
    text: str | None = Field(None, examples=["My parcel is a week late"])
    image: str | None = None
    cluster: Named | None = None
    probability: float | None = None
    outlier_score: float | None = None
    assignment: str | None = Field(None, examples=["core"])
    run_id: str | None = Field(None, examples=["20260301T030000-ab12cd"])
    duplicate_of: str | None = None
    score: float | None = Field(None, examples=[0.83])
    fields: dict[str, Any] = Field(default_factory=dict, examples=[{"year": 2026}])


class Rows(Shape):
    """``after``: what to ask the next page with; null at the end."""

    run_id: str | None = None
    rows: list[Row]
    after: str | None = None


class Facet(Shape):
    id: int
    title: str
    count: int


class Results(Shape):
    """``facets``: clusters among the ``facet_rows`` rows nearest to the text, whatever clusters the
    rows were narrowed to.
    """

    run_id: str | None = None
    rows: list[Row]
    facets: list[Facet] = []
    facet_rows: int = 0
    ms: float = Field(examples=[12.5])


class Shown(Shape):
    key: str
    text: str | None = None


class Cluster(Shape):
    """``stability``, ``persistence``: 0 to 1; ``interestingness``: 0 to 100, by a model."""

    id: int = Field(examples=[7])
    name: str = Field(examples=["Late deliveries"])
    title: str = Field(examples=["Late deliveries"])
    description: str = ""
    keywords: list[str] = Field(examples=[["parcel", "late", "courier"]])
    size: int = Field(examples=[120])
    stability: float | None = None
    persistence: float
    pinned: bool
    hidden: bool
    medoid: Shown | None = None
    interestingness: int | None = None
    state: str = Field("live", description="live, retired or merged.")
    merged_into: int | None = None
    color: tuple[str, str] = Field(
        description="On a light and on a dark page; neighbours on the map differ.",
        examples=[("#1f7dc6", "#3393e1")],
    )


class ClusterList(Shape):
    run_id: str | None = None
    noise: int = Field(description="Rows that are noise.")
    clusters: list[Cluster]


class NearCluster(Shape):
    id: int
    title: str
    size: int
    cosine: float


class NearClusters(Shape):
    run_id: str | None = None
    clusters: list[NearCluster]


class ClusterDetail(Cluster):
    """``card``: what vdbcluster explain found; ``lineage``: what became of it, oldest first."""

    run_id: str | None = None
    first_seen: str
    last_seen: str
    lineage: list[Any]
    similar: list[NearCluster]
    exemplars: list[Shown]
    card: dict[str, Any] | None = None


class FieldInfo(Shape):
    name: str
    type: str


class RunInfo(Shape):
    id: str
    at: str = Field(description="When it started, as ISO 8601; empty if nobody knows.")


class SearchInfo(Shape):
    """``reason``: why texts cannot be searched for."""

    available: bool
    reason: str
    embedder: str


class CollectionInfo(Shape):
    collection: str
    rows: int
    key_type: Literal["INT64", "VARCHAR"]
    vector_field: str
    metric: str | None
    text_field: str | None
    image_field: str | None
    fields: list[FieldInfo]
    shown_fields: list[str]
    label_prefix: str
    way: str = Field(description="Where labels are read.")
    run: RunInfo | None
    search: SearchInfo
    editable: bool
    map: bool
    map_advice: str = ""
    login: bool = Field(description="Whether a token is needed.")
    version: str


class CopyGroup(Shape):
    kept: Row | None
    copies: list[Row]


class Copies(Shape):
    """``marked``: whether any row is marked; vdbcluster run --mark-duplicates marks them."""

    run_id: str | None = None
    marked: bool
    groups: list[CopyGroup]
    after: str | None = None


class MapPoints(Shape):
    """Columns of one length; ``rows``: of all that have a place, of which these may be a sample."""

    run_id: str
    keys: list[str]
    x: list[float]
    y: list[float]
    labels: list[int]
    rows: int
    clusters: list[Cluster]


class Change(Shape):
    """What is left out, or null, stays as it is."""

    name: str | None = Field(None, examples=["Late deliveries"])
    description: str | None = None
    keywords: list[str] | None = None
    pinned: bool | None = None
    hidden: bool | None = None


class MergeInto(Shape):
    into: Annotated[int, Field(ge=0, le=LARGEST_ID, strict=True, examples=[9])]


class Merged(Shape):
    """``written``: rows that have the id now."""

    run_id: str
    rows: int
    written: int
    failed: int
    cluster: Cluster


class Login(Shape):
    token: Annotated[str, Field(max_length=MOST_TEXT)]
