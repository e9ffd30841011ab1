"""The demo: docstrings of Python's standard library, clustered inside an embedded Milvus Lite.

In: a folder to work in. Out: ``DemoResult``, and in the folder the database, the record of the run,
``map.html``, ``report.html`` and ``query.py``, a plain pymilvus program that filters by
``cluster_id``.
Promise: no server, key or download; the same ingestion, run and write-back as any other collection;
what is told about clusters was read back from the database; again in the same folder adds nothing.
"""

from __future__ import annotations

import runpy
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vdbcluster.adapters.milvus.client import MilvusAddress, MilvusConnection, connect
from vdbcluster.adapters.pydocs import StandardLibraryDocs
from vdbcluster.config.ingest import EmbedSettings, SourceSettings
from vdbcluster.config.milvus import MilvusSettings
from vdbcluster.config.settings import (
    ClusterSettings,
    NeighborSettings,
    RunSettings,
    Settings,
)
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.records import IngestReport
from vdbcluster.pages.report.as_html import as_html
from vdbcluster.ports import Observer
from vdbcluster.wiring.explaining import explain_job
from vdbcluster.wiring.ingest import ingest_source
from vdbcluster.wiring.main_job import run_job
from vdbcluster.wiring.mapping import map_job
from vdbcluster.wiring.reporting import report_job, save

COLLECTION = "python_docs"
EXAMPLE = "tarfile.TarFile.open"
"""The query shows this function's cluster: archives, from ``tarfile``, ``zipfile``, ``shutil``."""

# Most functions of the library resemble no dense group of others, so plain settings sort them
# coarsely: these show the small groups that a programmer knows, and leave the rest as noise.
NEIGHBORS = NeighborSettings(center="mean", smooth="shared-neighbors")
CLUSTER = ClusterSettings(method="leaf", min_cluster_size=12, min_samples=1, min_confidence=0.6)

QUERY = """\
from pymilvus import MilvusClient

client = MilvusClient({uri!r})
client.load_collection({collection!r})
rows = client.query(
    {collection!r},
    filter="cluster_id == {cluster_id}",
    output_fields=["id", "text"],
    limit=12,
)
for row in rows:
    print(f"{{row['id']:<36}} {{row['text'][:60]}}")
"""


@dataclass(frozen=True, slots=True)
class DemoCluster:
    """``modules``: the commonest three with their counts; ``representative``: one docstring."""

    id: int
    size: int
    modules: tuple[tuple[str, int], ...]
    representative: str


@dataclass(frozen=True, slots=True)
class DemoResult:
    """``purity``: share of the rows in clusters that are of their cluster's commonest module."""

    ingested: IngestReport
    manifest: RunManifest
    clusters: tuple[DemoCluster, ...]
    noise: float
    purity: float
    command: str
    query: Path
    map: Path
    report: Path


def run_demo(folder: Path, observer: Observer) -> DemoResult:
    """Ingest, cluster, write back, explain, draw, read the labels again and write ``query.py``."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = demo_settings(folder)
    ingested = ingest_source(StandardLibraryDocs(), "pydocs", settings, observer).report
    manifest = run_job(settings, observer)
    drawn, told = _shown(manifest, settings, folder, observer)
    with connect(MilvusAddress(settings.milvus.uri)) as connection:
        rows = _labelled_rows(connection)
    texts = {cluster.id: cluster.representative or "" for cluster in manifest.clusters}
    clusters = summarize(rows, texts)
    clustered = sum(cluster.size for cluster in clusters)
    query = folder / "query.py"
    program = query_program(settings.milvus.uri, _example_cluster(rows, clusters))
    query.write_text(program, encoding="utf-8")
    return DemoResult(
        ingested=ingested,
        manifest=manifest,
        clusters=clusters,
        noise=1 - clustered / len(rows),
        purity=sum(cluster.modules[0][1] for cluster in clusters) / max(1, clustered),
        command=run_command(settings),
        query=query,
        map=drawn,
        report=told,
    )


def _shown(
    manifest: RunManifest, settings: Settings, folder: Path, observer: Observer
) -> tuple[Path, Path]:
    """The map and the report, with words for the clusters."""
    explain_job(manifest.run_id, settings, observer)
    drawn, told = folder / "map.html", folder / "report.html"
    map_job(manifest.run_id, settings, drawn, observer)
    save(told, as_html(report_job(manifest.run_id, settings, observer)))
    return drawn, told


def run_query(query: Path) -> None:
    """Run the program as it stands, as ``python query.py`` would."""
    runpy.run_path(str(query), run_name="__main__")


def demo_settings(folder: Path) -> Settings:
    """The settings of the run; environment and configuration file may add, not replace."""
    return Settings(
        milvus=MilvusSettings(uri=str(folder / "demo.db"), collection=COLLECTION),
        neighbors=NEIGHBORS,
        cluster=CLUSTER,
        source=SourceSettings(text_field="text", id_field="id", fields=("module",)),
        embed=EmbedSettings(embedder="local"),
        run=RunSettings(runs_dir=folder / "runs"),
    )


def run_command(settings: Settings) -> str:
    """The command line that does the same run."""
    milvus, neighbors, cluster = settings.milvus, settings.neighbors, settings.cluster
    options = {
        "--uri": milvus.uri,
        "--collection": milvus.collection,
        "--method": cluster.method,
        "--smooth": neighbors.smooth,
        "--center": neighbors.center,
        "--min-cluster-size": cluster.min_cluster_size,
        "--min-samples": cluster.min_samples,
        "--min-confidence": cluster.min_confidence,
    }
    words = [str(word) for pair in options.items() for word in pair]
    return shlex.join(["vdbcluster", "run", *words])


def query_program(uri: str, cluster_id: int) -> str:
    """A complete pymilvus program that lists the rows of one cluster."""
    return QUERY.format(uri=uri, collection=COLLECTION, cluster_id=cluster_id)


def summarize(
    rows: Iterable[Mapping[str, Any]], representatives: Mapping[int, str]
) -> tuple[DemoCluster, ...]:
    """Clusters by size, from rows with ``module`` and ``cluster_id``."""
    modules: dict[int, Counter[str]] = {}
    for row in rows:
        if row["cluster_id"] != NOISE:
            modules.setdefault(row["cluster_id"], Counter())[row["module"]] += 1
    clusters = [
        DemoCluster(
            id=cluster_id,
            size=counts.total(),
            modules=tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]),
            representative=representatives.get(cluster_id, ""),
        )
        for cluster_id, counts in modules.items()
    ]
    return tuple(sorted(clusters, key=lambda cluster: (-cluster.size, cluster.id)))


def _labelled_rows(connection: MilvusConnection) -> list[dict[str, Any]]:
    wanted = ["id", "module", "cluster_id"]
    return connection.ask(
        "reading the labels",
        lambda client, limit: list(
            client.query(
                COLLECTION, "cluster_id >= -1", output_fields=wanted, limit=16_384, timeout=limit
            )
        ),
    )


def _example_cluster(rows: list[dict[str, Any]], clusters: tuple[DemoCluster, ...]) -> int:
    """The cluster of ``EXAMPLE``, or the largest one if that row is noise here."""
    found = next((row["cluster_id"] for row in rows if row["id"] == EXAMPLE), NOISE)
    return int(clusters[0].id if found == NOISE and clusters else found)
