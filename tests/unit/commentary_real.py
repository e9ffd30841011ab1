"""Cards of real texts as ``explain`` makes them, for the tests of the commentary.

In: a data set by name, its embeddings, how many clusters. Out: cards by the pure stages: k-means as
the labels, keywords, representatives and siblings. Skips where the data is absent.
"""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans

from tests import data
from vdbcluster.adapters.languages import Py3LangId
from vdbcluster.adapters.tokenizers import ScriptTokenizer
from vdbcluster.explain.keywords import keywords
from vdbcluster.explain.representatives import representatives
from vdbcluster.explain.vocabulary import vocabulary
from vdbcluster.model.cards import Card
from vdbcluster.pipeline.cards import Findings, Showing, cards_of, nearest_clusters


def real_cards(table: str, vectors: str, n_clusters: int, rows: int = 1500) -> list[Card]:
    """The first ``rows`` of a set, keys are its positions."""
    frame = data.table(f"{table}.parquet")[:rows]
    points = data.embeddings(vectors)[:rows]
    texts = list(frame["text"])
    centered = points - points.mean(axis=0)
    labels = KMeans(n_clusters, n_init=1, random_state=0).fit_predict(centered).astype(np.int64)
    counted = vocabulary(ScriptTokenizer(detector=Py3LangId()).terms(texts), n_grams=2)
    found, contrast = (
        keywords(counted, labels, points, how=how, n_terms=n)  # type: ignore[arg-type]
        for how, n in (("mixture", 10), ("contrast", 5))
    )
    findings = Findings(
        keywords=found,
        places=representatives(points, labels, n=6),
        siblings=nearest_clusters(points, labels, contrast),
    )
    return cards_of(Showing(np.arange(len(texts)), texts), labels, findings)
