"""Pure stage: rows that are there twice, and rows that belong nowhere. Arrays in, arrays out.

found = find_duplicates(graph, points, digests=text_digests(texts))
odd = find_outliers(graph, vectors, labels=clustering.labels, duplicates=found)
"""

from __future__ import annotations

from vdbcluster.duplicates.exact import text_digests
from vdbcluster.duplicates.kept import without_duplicates
from vdbcluster.duplicates.outliers import find_outliers
from vdbcluster.duplicates.result import Duplicates, DuplicateSet, Outliers
from vdbcluster.duplicates.sets import DuplicateParams, find_duplicates

__all__ = [
    "DuplicateParams",
    "DuplicateSet",
    "Duplicates",
    "Outliers",
    "find_duplicates",
    "find_outliers",
    "text_digests",
    "without_duplicates",
]
