"""What was asked of a run, by which parameters, and what came of it in a few sentences.

In: the manifest of a run. Out: ``Fact``s and sentences. Promise: no I/O; no secret: a manifest
holds none, and an address is shown without what stands before its host.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.report import Fact, Grade, Measure, NoiseTold, ReportCluster

LARGEST = 3
PARAMETERS = {
    "method": "method",
    "smooth": "distance on the edges (smooth)",
    "n_clusters": "number of clusters that was asked for",
    "n_layers": "layers, at most",
    "max_noise": "noise that may stay, as a share",
    "min_confidence": "least vote that gives noise to a cluster",
    "merge": "readiness to merge clusters",
    "seed": "seed",
}
OF_HDBSCAN = (
    "min_cluster_size",
    "min_samples",
    "cluster_selection_method",
    "cluster_selection_epsilon",
    "max_cluster_size",
    "join",
    "allow_single_cluster",
)
ONLY = {
    "n_clusters": ("kmeans",),
    "n_layers": ("layers",),
    "max_noise": ("hdbscan", "leaf", "layers", "umap+hdbscan"),
    "min_confidence": ("hdbscan", "leaf", "layers", "umap+hdbscan"),
}
"""Parameters that say something for some methods alone."""


def asked(manifest: RunManifest, text_field: str) -> tuple[Fact, ...]:
    """What was clustered."""
    chosen, facts = manifest.selection, manifest.facts
    read = facts.get("read", {})
    lines = [
        ("collection", manifest.collection),
        ("server", server_name(str(chosen.get("server", "")))),
        ("vectors", str(chosen.get("vector_field", ""))),
        ("filter", str(chosen.get("filter", "")) or "none: all rows"),
        ("partitions", ", ".join(map(str, chosen.get("partitions", ()))) or "all"),
        ("texts shown", text_field or "none: no field holds texts"),
        ("rows", f"{read['rows']:,}" if read else ""),
        ("clustered on", f"{manifest.started[:16].replace('T', ' ')} UTC"),
        ("run", manifest.run_id),
        ("state", manifest.state),
    ]
    return tuple(Fact(name, value) for name, value in lines if value)


def server_name(address: str) -> str:
    """Without user and password, which no record should have, and without what follows the path."""
    parts = urlsplit(address)
    if not parts.hostname:
        return address
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


def parameters(manifest: RunManifest) -> tuple[Fact, ...]:
    """What ``auto`` came to, too."""
    facts = manifest.facts
    recipe, near = facts.get("clustering", {}).get("recipe", {}), facts.get("neighbors", {})
    found = list(_neighbors(near)) + list(_recipe(recipe))
    way = facts.get("way", {})
    if way:
        found.append(Fact("labels written by", f"{way['name']} ({way['reason']})"))
    if told := facts.get("recursion", {}).get("told"):
        found.append(Fact("within large clusters", str(told)))
    if hold := manifest.settings.get("cluster", {}).get("hold"):
        found.append(Fact("held back at borders", f"{hold:g}"))
    return tuple(found)


def _neighbors(near: Mapping[str, Any]) -> Iterator[Fact]:
    if not near:
        return
    yield Fact("neighbours of each row", f"{near['n_neighbors']}")
    yield Fact("found by", str(near["engine"]))
    yield Fact("distance", str(near["metric"]))


def _recipe(recipe: Mapping[str, Any]) -> Iterator[Fact]:
    method = str(recipe.get("method", ""))
    for name, told in PARAMETERS.items():
        value = recipe.get(name)
        if value is not None and method in ONLY.get(name, (method,)):
            yield Fact(told, _value(value))
    if method in ("kmeans", "leiden"):
        return
    for name in OF_HDBSCAN:
        if (value := recipe.get("hdbscan", {}).get(name)) is not None:
            yield Fact(name, _value(value))


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def versions(manifest: RunManifest) -> tuple[Fact, ...]:
    return tuple(Fact(name, text) for name, text in sorted(manifest.versions.items()))


def copies(manifest: RunManifest) -> tuple[Fact, ...]:
    """Numbers of duplicates and outliers; nothing where nobody looked."""
    facts = {**manifest.facts, **manifest.facts.get("explain", {})}
    told = []
    if (found := facts.get("duplicates")) is not None:
        told += [
            Fact("rows that could go", f"{found['surplus']:,}"),
            Fact("equal rows", f"{found['exact_rows']:,} in {found['exact_sets']:,} sets"),
            Fact("nearly equal rows", f"{found['near_rows']:,} in {found['near_sets']:,} sets"),
        ]
    if (found := facts.get("outliers")) is not None:
        told += [
            Fact("outliers", f"{found['outliers']:,}"),
            Fact("potential outliers", f"{found['potential_outliers']:,}"),
        ]
    return tuple(told)


def summary(
    manifest: RunManifest,
    clusters: Sequence[ReportCluster],
    noise: NoiseTold,
    quality: Sequence[Measure],
) -> tuple[str, ...]:
    """A few sentences for a reader who reads no further."""
    if not clusters:
        return ("No cluster was found: all rows are noise.",)
    rows = sum(one.size for one in clusters) + noise.rows
    named = "; ".join(f"{one.title} ({_share(one.share)})" for one in clusters[:LARGEST])
    groups = "one cluster" if len(clusters) == 1 else f"{len(clusters):,} clusters"
    first = f"{rows:,} rows of {manifest.collection} fall into {groups}; "
    first += (
        f"{noise.rows:,} ({_share(noise.share)}) are in none."
        if noise.rows
        else "none is left out."
    )
    told = [first, f"The largest: {named}."]
    bad = [one.name.lower() for one in quality if one.grade == Grade.DOUBTFUL]
    stability = next((one for one in quality if one.name == "Stability"), None)
    if stability is not None:
        told.append(f"Stability: {stability.verdict}")
    shaky = sum(bool(one.doubts) for one in clusters)
    if bad:
        told.append(f"Look twice at: {', '.join(bad)}.")
    elif shaky:
        which = "one cluster is" if shaky == 1 else f"{shaky:,} clusters are"
        told.append(f"As a whole it can be relied on; {which} doubtful, as marked.")
    else:
        told.append("No figure of quality is in doubt.")
    return tuple(told)


def _share(value: float) -> str:
    """One digit after the point below 10%."""
    return f"{value:.1%}" if value < 0.0995 else f"{value:.0%}"
