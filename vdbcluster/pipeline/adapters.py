"""What the use-cases work with: adapters behind their ports, and nothing that names one.

In: what the wiring has opened. Out: ``Outlets`` to write labels, ``Adapters`` to make them first.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.rows import Rows
from vdbcluster.ports import LabelSink, NeighborSearch, RunStore, VectorSource
from vdbcluster.ports.catalogue import ClusterCatalogue
from vdbcluster.ports.languages import LanguageDetector


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlets:
    """What writing labels needs.

    ``profile`` is what the source was when it was opened. ``sink`` may still be in the making: that
    there is no safe one is told at the next step of any stage. ``catalogue`` opens that of this
    selection as the collection is then; None keeps none.
    """

    source: VectorSource
    profile: CollectionProfile
    sink: Future[LabelSink]
    runs: RunStore
    catalogue: Callable[[], ClusterCatalogue] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters(Outlets):
    """What a run needs; ``search`` is made once the rows are known.

    ``metric`` is the distance of ``vdbcluster.graph.distance`` that rows are compared by.
    ``local``: the search takes any vectors, also centred ones.
    ``prepare_in_place`` allows the rows that were read to be overwritten by unit vectors.
    ``among`` searches some rows by themselves, whoever searches all of them; None compares every
    pair.
    """

    search: Callable[[Rows, Float32Array], NeighborSearch]
    metric: str
    languages: LanguageDetector
    local: bool = True
    prepare_in_place: bool = True
    among: Callable[[Float32Array], NeighborSearch] | None = None
