"""Keywords by BERTopic's class-based TF-IDF, in an environment of its own.

In: a JSON file with ``texts``, ``labels`` (-1 is noise), ``held`` and ``terms`` (ours).
Out: JSON on standard output, by variant: ``lists`` by label, and ``documents``, the keywords that
stand in each held text.
It is what ``BERTopic`` does: the texts of a topic as one, counted by ``CountVectorizer``, weighted
by ``ClassTfidfTransformer``, the ten heaviest words; noise is a topic.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "bertopic": ({}, {}),
    "bertopic, stop words": ({"stop_words": "english"}, {}),
    "bertopic, bm25, stop words": (
        {"stop_words": "english"},
        {"bm25_weighting": True, "reduce_frequent_words": True},
    ),
    "bertopic, our terms": ({"analyzer": str.split}, {}),
    "bertopic, bm25, our terms": (
        {"analyzer": str.split},
        {"bm25_weighting": True, "reduce_frequent_words": True},
    ),
}


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    json.dump({variant: told(job, variant) for variant in VARIANTS}, sys.stdout)


def told(job: dict[str, Any], variant: str) -> dict[str, Any]:
    """Lists, and documents, by one variant."""
    from bertopic.vectorizers import ClassTfidfTransformer
    from sklearn.feature_extraction.text import CountVectorizer

    counting, weighting = VARIANTS[variant]
    texts = job["terms"] if "our terms" in variant else job["texts"]
    labels, held = np.asarray(job["labels"]), np.asarray(job["held"], bool)
    topics = np.unique(labels[~held])
    merged = [" ".join(texts[row] for row in np.flatnonzero((labels == t) & ~held)) for t in topics]
    vectorizer = CountVectorizer(**counting)
    counts = vectorizer.fit_transform(merged)
    weights = ClassTfidfTransformer(**weighting).fit(counts).transform(counts).toarray()
    words = vectorizer.get_feature_names_out()
    best = np.argsort(-weights, axis=1, kind="stable")[:, :10]
    lists = {
        int(topic): [str(words[column]) for column in row if line[column] > 0]
        for topic, row, line in zip(topics, best, weights, strict=True)
        if topic >= 0
    }
    analyse = vectorizer.build_analyzer()
    known = {word for row in lists.values() for word in row}
    documents = [sorted(known.intersection(analyse(texts[r]))) for r in np.flatnonzero(held)]
    return {"lists": lists, "documents": documents}


if __name__ == "__main__":
    main()
