"""``Workers`` that are this process.

In: work, shards. Out: the work done, one shard after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vdbcluster.ports.shards import Work


class Here:
    """See the module."""

    def each(self, work: Work, shards: Sequence[int], done: Callable[[int], None]) -> None:
        for shard in shards:
            work(shard)
            done(1)
