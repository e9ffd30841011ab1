"""Collections for the worker to cluster, and a look at what became of them.

In: a backend, a name. Out: foreign bytes before, labels after, by a plain client that shares no
code with the product.
"""

from __future__ import annotations

from collections import Counter

from tests import backends
from tests.backends import Backend
from tests.integration.docs import CLUSTERS, fill_docs
from tests.snapshot import Snapshot, diff, snapshot


def made(backend: Backend, name: str) -> Snapshot:
    with backends.connected(backend) as client:
        fill_docs(client, name)
        return snapshot(client, name)


def labels(backend: Backend, name: str, before: Snapshot) -> Counter[int | None]:
    """How many rows have each label; no foreign byte may have changed."""
    with backends.connected(backend) as client:
        assert diff(before, snapshot(client, name)) == []
        rows = client.query(
            name, "id >= 0", ["cluster_id"], limit=16384, consistency_level="Strong"
        )
    assert len(rows) == len(before)
    return Counter(row.get("cluster_id") for row in rows)


def check_labelled(backend: Backend, name: str, before: Snapshot) -> None:
    found = labels(backend, name, before)
    assert None not in found
    assert len(set(found) - {-1}) == CLUSTERS
