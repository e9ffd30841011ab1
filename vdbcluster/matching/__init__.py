"""Matching of clusterings: stable ids, their history, and rows that do not flicker.

In: ``Previous`` and the labels ``(n,)`` of a new clustering, ``0 .. c - 1`` and -1.
Out: ``Matching``, stable labels ``(n,)``, events.
Promise: pure; nothing depends on how the new clusters are numbered, nor on the order of the rows
where their keys are told; an id that was ever used is never given to another cluster.

    matching = match(previous, clustering.labels, centroids=centroids)
    labels = matching.relabelled(clustering.labels)
    labels = steady(previous, labels, graph, margin=0.1)    # where hysteresis is wanted
    events = lineage(previous, labels)                      # matching.events, if it is not
"""

from vdbcluster.matching.lineage import lineage
from vdbcluster.matching.match import match
from vdbcluster.matching.steady import steady

__all__ = ["lineage", "match", "steady"]
