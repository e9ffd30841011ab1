"""Methods of clustering behind one interface, all fed by the one neighbour graph.

In: ``NeighborGraph``, the prepared vectors ``(n, d)`` for those that need them, ``Recipe``.
Out: ``Clustering``. Promise: same graph, same recipe, same labels; nothing is read or written.
"""
