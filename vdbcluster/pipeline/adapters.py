"""What the use-cases work with: adapters behind their ports, and nothing that names one.

In: what the wiring has opened. Out: ``Outlets`` to write labels, ``Adapters`` to make them first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.cost import Engine
from vdbcluster.pipeline.write_shards import Elsewhere
from vdbcluster.ports import LabelSink, NeighborSearch, Observer, RunStore, VectorSource
from vdbcluster.ports.catalogue import ClusterCatalogue
from vdbcluster.ports.languages import LanguageDetector
from vdbcluster.ports.machine import Machine, UnknownMachine
from vdbcluster.ports.work import ShardSearch, WorkPlace

if TYPE_CHECKING:
    from vdbcluster.pipeline.hierarchy_shards import Build


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlets:
    """What writing labels needs.

    ``profile`` is what the source was when it was opened. ``sink`` may still be in the making: that
    there is no safe one is told at the next step of any stage. ``catalogue`` opens that of this
    selection as the collection is then; None keeps none. ``machine``: ours.
    ``elsewhere``: other processes that write; None: this one does.
    """

    source: VectorSource
    profile: CollectionProfile
    sink: Future[LabelSink]
    runs: RunStore
    catalogue: Callable[[], ClusterCatalogue] | None = None
    machine: Machine = field(default_factory=UnknownMachine)
    elsewhere: Elsewhere | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters(Outlets):
    """What a run needs; ``search`` is made once the rows are known.

    ``metric`` is the distance of ``vdbcluster.graph.distance`` that rows are compared by.
    ``local``: the search takes any vectors, also centred ones.
    ``prepare_in_place`` allows the rows that were read to be overwritten by unit vectors.
    ``among`` searches some rows by themselves, whoever searches all of them; None compares every
    pair. ``searching``: what the answers of ``search`` depend on beside the rows, the metric and
    how many are asked for: engine, index, effort; plain JSON. ``work``: where the pieces of an
    unfinished search lie, ``shards`` who searches them; None keeps nothing of it.
    ``build`` makes the hierarchy in pieces, telling the observer; None makes it as a whole.
    ``engine``: what kind of search it is, to foretell how long it takes.
    """

    search: Callable[[Rows, Float32Array], NeighborSearch]
    metric: str
    languages: LanguageDetector
    local: bool = True
    prepare_in_place: bool = True
    among: Callable[[Float32Array], NeighborSearch] | None = None
    searching: Mapping[str, object] = field(default_factory=dict)
    work: WorkPlace | None = None
    shards: ShardSearch | None = None
    build: Callable[[Observer], Build] | None = None
    engine: Engine = "exact"
