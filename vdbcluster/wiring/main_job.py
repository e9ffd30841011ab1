"""Settings to a run on Milvus: which adapters, and in what order they are opened.

In: ``Settings``, an observer. Out: the ``RunManifest`` of a finished run.
Promise: what cannot work (no collection, no vector field, no write way) is said before any vector
is read.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from platform import python_version

from vdbcluster.adapters.local_neighbors import LocalNeighbors
from vdbcluster.adapters.milvus.client import MilvusAddress, MilvusConnection, connect
from vdbcluster.adapters.milvus.search import MilvusNeighbors
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.adapters.milvus.writeback import LabelSettings, choose_sink
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.config.settings import Settings
from vdbcluster.errors import UsageError
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.labels import LabelFields, LabelPlan
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.run import Adapters, run
from vdbcluster.ports import LabelSink, NeighborSearch, Observer
from vdbcluster.wiring.choice import Choice, choose

PACKAGES = ("vdbcluster", "pymilvus", "milvus-lite", "numpy", "numba", "faiss-cpu", "hdbscan")
