"""Rows that are equal: the same vector to the last bit, or the same text.

In: vectors ``(n, d)``, by choice digests of texts ``(n,)``. Out: a group number per row.
Promise: found whatever the neighbour graph holds, however many copies there are; numbered from 0
by first row; O(n d) time, a digest of 16 bytes a row.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable, Iterable, Iterator
from hashlib import blake2b

import numpy as np

from vdbcluster.graph.distance import blocks
from vdbcluster.model.arrays import Float32Array, Int64Array

_BYTES = 16


def text_digests(texts: Iterable[str | None]) -> np.ndarray:
    """A digest of each text, ``(n,) object`` of ``bytes``; None where it is absent or blank.

    Texts count as equal if they are so after NFC (Unicode annex 15) and with every run of white
    space as one blank; case, width and punctuation matter.
    """
    found = [_text_digest(text) for text in texts]
    digests = np.empty(len(found), object)
    digests[:] = found
    return digests


def _text_digest(text: str | None) -> bytes | None:
    plain = " ".join(unicodedata.normalize("NFC", text or "").split())
    if not plain:
        return None
    return blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=_BYTES).digest()


def equal_vectors(points: Float32Array) -> Int64Array:
    """Groups of rows with the same bytes, ``(n,)``; 0.0 and -0.0 are the same."""
    return _numbered(_vector_digests(points), len(points))


def equal_texts(digests: np.ndarray) -> Int64Array:
    """Groups of rows with the same digest, ``(n,)``; a row without one is alone."""
    alone = (row if digest is None else digest for row, digest in enumerate(digests))
    return _numbered(alone, len(digests))


def joined(first: Int64Array, second: Int64Array) -> Int64Array:
    """Groups of rows that either grouping connects, ``(n,)``."""
    from scipy.sparse import coo_array  # a third of a second to import
    from scipy.sparse.csgraph import connected_components

    n = len(first)
    left = np.concatenate((np.arange(n), np.arange(n)))
    right = np.concatenate((first, second + n))
    pairs = coo_array((np.ones(2 * n, np.bool_), (left, right + n)), shape=(3 * n, 3 * n))
    return _numbered(connected_components(pairs, directed=False)[1][:n].tolist(), n)


def _vector_digests(points: Float32Array) -> Iterator[bytes]:
    for rows in blocks(points):
        for row in np.ascontiguousarray(points[rows]) + np.float32(0):  # -0.0 becomes 0.0
            yield blake2b(row, digest_size=_BYTES).digest()


def _numbered(values: Iterable[Hashable], n: int) -> Int64Array:
    """Numbers from 0 in order of first appearance."""
    number: dict[Hashable, int] = {}
    return np.fromiter((number.setdefault(v, len(number)) for v in values), np.int64, n)
