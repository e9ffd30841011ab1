"""What the clusters of a recorded run are about, told by their own rows.

In: outlets, the manifest of a run, a tokenizer. Out: the manifest with ``facts["explain"]``, which
is recorded; the keywords in the catalogue too, if that tells of the run's clusters.
Promise: labels are those that the run wrote, rows those that are still there; no label and no field
of a row is touched; names and descriptions by people stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from vdbcluster.config.explain import ExplainSettings
from vdbcluster.errors import RefusedError, UsageError
from vdbcluster.explain.keywords import keywords
from vdbcluster.explain.vocabulary import vocabulary
from vdbcluster.model.arrays import Float32Array, Int64Array, Keys
from vdbcluster.model.cards import Keyword
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry
from vdbcluster.model.manifest import RunManifest, is_assignment
from vdbcluster.pipeline.adapters import Outlets
from vdbcluster.pipeline.read import positions, read_rows
from vdbcluster.pipeline.record import planned
from vdbcluster.ports import Observer
from vdbcluster.ports.catalogue import ClusterCatalogue
from vdbcluster.ports.tokens import Tokenizer

TEXTS = 1000
"""Rows whose texts are asked for at a time."""
Found = dict[int, tuple[Keyword, ...]]


@dataclass(frozen=True, slots=True)
class Explaining:
    """What ``explain_run`` works with; ``text_field``: whose words are counted."""

    outlets: Outlets
    tokenizer: Tokenizer
    settings: ExplainSettings
    text_field: str
    memory_bytes: int


def explain_run(made: Explaining, manifest: RunManifest, observer: Observer) -> RunManifest:
    """See the module.

    Raises ``UsageError`` if the run labelled nothing that can be explained, or no row has a text in
    the field; ``RefusedError`` if it was created anew since, or most rows are gone.
    """
    members = _members(made, manifest, observer)
    texts = _texts(made, members.keys, observer)
    with observer.stage("keywords", len(texts)) as progress:
        tokens = made.tokenizer.terms(texts)
        counted = vocabulary(tokens, n_grams=made.settings.n_grams)
        how, most = made.settings.keywords, made.settings.n_keywords
        found = keywords(counted, members.labels, members.vectors, how=how, n_terms=most)
        progress.advance(len(texts))
    for note in made.tokenizer.notes:
        observer.warn(note)
    stored = _store(made.outlets, manifest, found, observer)
    facts = {
        "text_field": made.text_field,
        "rows": len(texts),
        "terms": made.tokenizer.description,
        "settings": made.settings.model_dump(mode="json"),
        "keywords": {str(i): [asdict(one) for one in words] for i, words in found.items()},
        "catalogue": stored,
    }
    told = replace(manifest, facts={**manifest.facts, "explain": facts})
    made.outlets.runs.save(told)
    return told


@dataclass(frozen=True, slots=True, eq=False)
class _Members:
    """Rows of the run that are still there, and the cluster that it gave each, -1 for noise."""

    keys: Keys
    vectors: Float32Array
    labels: Int64Array


def _members(made: Explaining, manifest: RunManifest, observer: Observer) -> _Members:
    if "plan" not in manifest.facts or is_assignment(manifest):
        kind = "only labelled rows that came later" if "plan" in manifest.facts else "has no labels"
        raise UsageError(f"run {manifest.run_id} {kind}; name a run of vdbcluster run")
    if manifest.identity != made.outlets.profile.identity:
        raise RefusedError(
            f"the collection {manifest.collection!r} was created anew since run "
            f"{manifest.run_id}; run again"
        )
    plan = planned(made.outlets.runs.load_arrays(manifest.run_id))
    rows, _ = read_rows(made.outlets.source, observer, memory_bytes=made.memory_bytes)
    at = positions(rows.keys, plan.new.keys)
    there = np.flatnonzero(at >= 0)
    if 2 * len(there) < len(plan.new):
        raise RefusedError(
            f"{len(plan.new) - len(there):,} of {len(plan.new):,} rows of run {manifest.run_id} "
            "are gone; run again"
        )
    return _Members(rows.keys[there], rows.vectors[there], plan.new.cluster_id[at[there]])


def _texts(made: Explaining, keys: Keys, observer: Observer) -> list[str | None]:
    texts: list[str | None] = []
    with observer.stage("texts", len(keys)) as progress:
        for start in range(0, len(keys), TEXTS):
            some = keys[start : start + TEXTS]
            texts += made.outlets.source.texts(some, made.text_field)
            progress.advance(len(some))
    if not any(texts):
        raise UsageError(
            f"no row has a text in the field {made.text_field!r}; name another with --text-field"
        )
    return texts


def _store(outlets: Outlets, manifest: RunManifest, found: Found, observer: Observer) -> str:
    """The name of the catalogue that has the keywords now; empty if none is to have them."""
    if outlets.catalogue is None or manifest.state != "written":
        return ""
    catalogue = outlets.catalogue()
    if not _tells_of(catalogue, manifest):
        observer.warn(
            f"{catalogue.name!r} tells of another run than {manifest.run_id}; the keywords are in "
            "the record of that run alone"
        )
        return ""
    catalogue.edit(lambda held: _with_keywords(held, found))
    return catalogue.name


def _tells_of(catalogue: ClusterCatalogue, manifest: RunManifest) -> bool:
    """Whether its live clusters are those of the run, but for what came and was merged since."""
    held = catalogue.read()
    if held is None:
        return False
    ours = {cluster.id for cluster in manifest.clusters}
    live = {entry.id for entry in held.live}
    return bool(ours & live) and len(ours & live) * 2 >= len(ours)


def _with_keywords(held: Catalogue, found: Found) -> Iterable[CatalogueEntry]:
    for entry in held.live:
        terms = tuple(one.term for one in found.get(entry.id, ()))
        if terms and terms != entry.keywords:
            yield replace(entry, keywords=terms)


def shown(manifest: RunManifest) -> list[dict[str, Any]]:
    """Of each cluster, the largest first: ``id``, ``size``, ``keywords`` as texts."""
    told = manifest.facts["explain"]["keywords"]
    return [
        {
            "id": cluster.id,
            "size": cluster.size,
            "keywords": [one["term"] for one in told.get(str(cluster.id), ())],
        }
        for cluster in sorted(manifest.clusters, key=lambda cluster: (-cluster.size, cluster.id))
    ]
