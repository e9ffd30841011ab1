"""Keys that have certainly not been written by us, in bounded memory.

In: keys. Out: for keys, whether they may have been added before. Promise: a key that was added is
never denied; one that was not is taken for one, once in 100,000 times after a million keys and in
4 % of all cases after ten million. Method: B. H. Bloom, Space/time trade-offs in hash coding with
allowable errors, Communications of the ACM 13 (1970), 422-426.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vdbcluster.model.arrays import BoolArray

BITS = 1 << 26
HASHES = 4
_MIXERS = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


class SeenKeys:
    """8 MB, however many keys; not for several threads at once."""

    def __init__(self) -> None:
        self._bits = np.zeros(BITS // 8, np.uint8)

    def add(self, keys: Sequence[int | str]) -> None:
        at = _places(keys)
        np.bitwise_or.at(self._bits, at >> 3, (1 << (at & 7)).astype(np.uint8))

    def maybe(self, keys: Sequence[int | str]) -> BoolArray:
        """Whether each key may have been added, ``(len(keys),) bool``."""
        at = _places(keys)
        held = self._bits[at >> 3] >> (at & 7).astype(np.uint8) & 1
        return np.asarray(held.all(axis=1))


def _places(keys: Sequence[int | str]) -> NDArray[np.int64]:
    """``(len(keys), HASHES)`` positions of bits."""
    hashes = np.fromiter((hash(key) for key in keys), np.int64, len(keys)).view(np.uint64)
    one, other = _mixed(hashes), _mixed(hashes ^ np.uint64(_MIXERS[0])) | np.uint64(1)
    steps = np.arange(HASHES, dtype=np.uint64)
    return ((one[:, None] + steps * other[:, None]) % np.uint64(BITS)).astype(np.int64)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Bits spread over the whole word: small whole numbers are their own hashes."""
    values = values + np.uint64(_MIXERS[0])
    values = (values ^ (values >> np.uint64(30))) * np.uint64(_MIXERS[1])
    values = (values ^ (values >> np.uint64(27))) * np.uint64(_MIXERS[2])
    return values ^ (values >> np.uint64(31))
