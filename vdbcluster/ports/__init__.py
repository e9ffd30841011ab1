"""The borders of the pipeline: what it asks of a database, a search engine, a sink, a run store.

Every adapter of a port passes the shared suite in ``tests/contract``. Errors that cross a port are
those of ``vdbcluster.errors``; an adapter maps its client's own errors to them.
"""

from vdbcluster.ports.neighbors import NeighborSearch
from vdbcluster.ports.observer import Observer, Progress
from vdbcluster.ports.runs import RunStore
from vdbcluster.ports.sink import LabelSink
from vdbcluster.ports.source import VectorSource

__all__ = ["LabelSink", "NeighborSearch", "Observer", "Progress", "RunStore", "VectorSource"]
