"""How good a clustering is, in figures and in words, as far as its run has measured it.

In: the manifest of a run. Out: ``Measure``s, each with what it means and whether it is good.
Promise: no I/O; what the run did not measure is not told.

Borders are those of the field where it has any: of stability 0.5, 0.6, 0.75 and 0.85 (Hennig 2007,
Cluster-wise assessment of cluster stability); the others are rules of thumb, and say so by being
called fair rather than bad.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vdbcluster.model.manifest import ClusterRow, RunManifest
from vdbcluster.model.report import Grade, Measure

DISSOLVED, PATTERN, STABLE, VERY_STABLE = 0.5, 0.6, 0.75, 0.85


def measures(manifest: RunManifest) -> tuple[Measure, ...]:
    """What the run measured of itself, the most important first."""
    facts, rows = manifest.facts, manifest.clusters
    made = (
        _noise(facts),
        _soft(facts),
        _stability(rows),
        _persistence(rows),
        _largest(facts),
        _recall(facts),
        _certificate(facts),
        _languages(facts),
        _read(facts),
        _written(facts),
    )
    return tuple(one for one in made if one is not None)


def _noise(facts: Mapping[str, Any]) -> Measure | None:
    found = facts.get("clustering", {})
    if not found.get("rows"):
        return None
    share = found["noise"] / found["rows"]
    grade = Grade.GOOD if share <= 0.1 else Grade.FAIR if share <= 0.35 else Grade.DOUBTFUL
    verdict = {
        Grade.GOOD: "nearly everything found a place.",
        Grade.FAIR: "usual for a method that leaves out what fits nowhere; what is said of the "
        "clusters is not said of these rows.",
        Grade.DOUBTFUL: "a large part of the data is not described by any cluster.",
    }[grade]
    return Measure(
        "Rows in no cluster",
        f"{found['noise']:,} of {found['rows']:,} ({share:.1%})",
        share,
        grade,
        "Rows that lie too far from any dense group of rows; they are called noise and have the "
        "cluster id -1.",
        verdict,
    )


def _soft(facts: Mapping[str, Any]) -> Measure | None:
    found = facts.get("clustering", {})
    if not found.get("rows") or not found.get("soft"):
        return None
    share = found["soft"] / found["rows"]
    grade = Grade.GOOD if share <= 0.25 else Grade.FAIR if share <= 0.5 else Grade.DOUBTFUL
    verdict = {
        Grade.GOOD: "most labels come from density itself.",
        Grade.FAIR: "a good part of the labels is a best guess; mind their probability.",
        Grade.DOUBTFUL: "most labels are best guesses.",
    }[grade]
    return Measure(
        "Rows given to a cluster by their neighbours",
        f"{found['soft']:,} of {found['rows']:,} ({share:.1%})",
        share,
        grade,
        "Rows that were noise at first and got the cluster that most of their neighbours have; "
        "they are less sure than the others (cluster_assignment is soft).",
        verdict,
    )


def _stability(rows: tuple[ClusterRow, ...]) -> Measure | None:
    known = [row for row in rows if row.stability is not None]
    if not known:
        return None
    scores = np.array([row.stability for row in known], float)
    sizes = np.array([row.size for row in known], float)
    mean = float(scores @ sizes / sizes.sum())
    stable = float(sizes[scores >= STABLE].sum() / sizes.sum())
    grade = Grade.GOOD if mean >= STABLE else Grade.FAIR if mean >= PATTERN else Grade.DOUBTFUL
    verdict = {
        Grade.GOOD: "the clusters are found again in samples of the data"
        + (", very much as they are." if mean >= VERY_STABLE else "."),
        Grade.FAIR: "there is something there, but where one cluster ends and the next begins is "
        "uncertain.",
        Grade.DOUBTFUL: "another sample of the same data would give other clusters.",
    }[grade]
    return Measure(
        "Stability",
        f"{mean:.2f} on average over rows; {stable:.0%} of clustered rows are in clusters of "
        f"{STABLE} or more",
        mean,
        grade,
        "How much of a cluster is found again when a part of the data is left out: mean Jaccard "
        f"coefficient, 0 to 1. From {STABLE} a cluster counts as real, below {DISSOLVED} as "
        "dissolved (Hennig 2007).",
        verdict,
    )


def _persistence(rows: tuple[ClusterRow, ...]) -> Measure | None:
    scores = np.array([row.persistence for row in rows], float)
    if not scores.size or not scores.any():
        return None
    middle = float(np.median(scores))
    return Measure(
        "Persistence",
        f"{middle:.2f} in the middle, {scores.min():.2f} to {scores.max():.2f}",
        middle,
        Grade.PLAIN,
        "Over how wide a range of densities a cluster stays one, 0 to 1. It compares clusters of "
        "one run; between data sets it means little.",
        "those with the highest figure stand out most clearly from what is around them.",
    )


def _largest(facts: Mapping[str, Any]) -> Measure | None:
    found = facts.get("clustering", {})
    if not found.get("clusters") or not found.get("largest"):
        return None
    share = found["largest"] / found["rows"]
    doubtful = "giant" in found or share > 0.6
    return Measure(
        "Largest cluster",
        f"{found['largest']:,} rows ({share:.1%})",
        share,
        Grade.DOUBTFUL if doubtful else Grade.PLAIN,
        "The share of all rows that the largest cluster holds.",
        "one cluster holds most of the data, so the clustering tells little about it; "
        "go into it with --recurse, or change the method."
        if doubtful
        else "no cluster swallows the others.",
    )


def _recall(facts: Mapping[str, Any]) -> Measure | None:
    audit = facts.get("audit", {})
    if not audit.get("sample"):
        return None
    recall, low, high = (float(audit[name]) for name in ("recall", "low", "high"))
    grade = Grade.GOOD if recall >= 0.95 else Grade.FAIR if recall >= 0.8 else Grade.DOUBTFUL
    verdict = {
        Grade.GOOD: "the clusters rest on the neighbours that rows really have.",
        Grade.FAIR: "some neighbours were missed, which moves borders of clusters a little; "
        "--effort high searches better.",
        Grade.DOUBTFUL: "many neighbours were missed; search again with --effort high or "
        "--neighbors local.",
    }[grade]
    exact = facts.get("neighbors", {}).get("exact")
    return Measure(
        "Recall of the neighbour search",
        f"{recall:.1%} (95 % interval {low:.1%} to {high:.1%})",
        recall,
        grade,
        f"The {audit['k']} nearest neighbours of {audit['sample']:,} rows were searched once more, "
        "exactly; this share of them had been found"
        + (" (by a search that compares every pair)." if exact else "."),
        verdict,
    )


def _certificate(facts: Mapping[str, Any]) -> Measure | None:
    share = facts.get("clustering", {}).get("certified")
    if share is None:
        return None
    return Measure(
        "Certificate",
        f"{share:.1%} of merges proven",
        float(share),
        Grade.GOOD if share >= 0.99 else Grade.PLAIN,
        "How much of the density tree is proven to be that of HDBSCAN on all pairs of vectors, "
        "though only the nearest neighbours were looked at.",
        "the result is that of the exact method."
        if share >= 0.99
        else "the rest may or may not differ from the exact method; --certify searches on.",
    )


def _languages(facts: Mapping[str, Any]) -> Measure | None:
    found = facts.get("languages")
    if not found:
        return None
    shares = ", ".join(f"{name} {share:.0%}" for name, share in found["shares"])
    verdict = str(found["verdict"])
    told = {
        "one": (Grade.GOOD, "texts are in one language, which so cannot shape the clusters."),
        "mixed": (Grade.GOOD, "clusters go across languages: they follow what texts are about."),
        "split": (
            Grade.DOUBTFUL,
            "clusters follow the language of the texts rather than what they are about; run again "
            "with --center language.",
        ),
        "apart": (
            Grade.DOUBTFUL,
            "clusters keep to one language each: either the languages are about different things, "
            "or the embedding model does not bring them together.",
        ),
    }.get(verdict)
    if told is None:
        return None
    figures = (
        f"; neighbours share it in {found['neighbors']:.0%} (chance {found['chance']:.0%})"
        if found.get("neighbors")
        else ""
    )
    return Measure(
        "Languages",
        f"{shares or 'not determined'}{figures}",
        found.get("homogeneity"),
        told[0],
        "Whether clusters follow the language that a text is written in, of "
        f"{found['determined']:,} texts that were looked at.",
        told[1],
    )


def _read(facts: Mapping[str, Any]) -> Measure | None:
    read = facts.get("read")
    if not read:
        return None
    left = read["unusable"] + read["without_vector"] + read["unreadable"]
    counted = max(read["counted_before"], read["counted_after"])
    grade = Grade.GOOD if not left else Grade.FAIR if left <= 0.01 * counted else Grade.DOUBTFUL
    return Measure(
        "Rows read",
        f"{read['rows']:,} of {counted:,} that the server counts",
        read["rows"] / counted if counted else None,
        grade,
        "Whether all rows that were selected took part.",
        "all of them." if not left else f"{left:,} have no vector that can be compared.",
    )


def _written(facts: Mapping[str, Any]) -> Measure | None:
    write = facts.get("write")
    if not write:
        return None
    bad = write["failed"] + write["mismatched"] + write["skipped"]
    return Measure(
        "Labels written",
        f"{write['written'] + write['unchanged']:,} rows have theirs",
        None,
        Grade.DOUBTFUL if bad else Grade.GOOD,
        "Whether the collection holds what is told here; every label was read back.",
        f"{bad:,} rows do not have the label that was meant for them."
        if bad
        else "labels in the collection were those of this run when it ended.",
    )
