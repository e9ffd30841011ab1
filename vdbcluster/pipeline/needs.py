"""What a run takes of memory and disk, by stage, before it begins.

In: ``Job`` (rows, dimension, neighbours, method, who searches, where the database lives), ``Room``.
Out: bytes by stage, bytes of files by kind. Promise: pure arithmetic on what the stages allocate;
more rows never take less, a smaller room never takes more memory.

    job = Job(n_rows=1_000_000, dim=384, n_neighbors=50, walks=64)
    max(memory_bytes(job, room).values())
    disk_bytes(job, room)

The terms are those of the code: what is O(n k) or O(n d) is counted array by array, each in memory
only where the room holds it; blocks of work are bounded, and their bounds are here. The constants
are what this process had in use on Linux with Python 3.11 (``scripts/bench_estimate`` measures
anew): libraries and compiled code, which make up nearly all of it below 10,000 rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from vdbcluster.graph.coordinates import FEWEST, MOST, MOST_VALUES, coordinates_for
from vdbcluster.pipeline.room import Room

MIB = 1 << 20
LIBRARIES: Mapping[str, int] = {
    "read": 105 * MIB,
    "neighbors": 110 * MIB,
    "audit": 152 * MIB,
    "cluster": 156 * MIB,
    "stability": 156 * MIB,
    "plan": 158 * MIB,
    "write": 158 * MIB,
}
"""In use by each stage beside what rows take."""
EMBEDDED, EMBEDDED_READ = 38 * MIB, 8.5
"""Milvus Lite in our own process: by itself, and how many times the vectors once they are read."""
EMBEDDED_FLUSH, EMBEDDED_BATCH, EMBEDDED_WRITE = 45 * MIB, 27 * MIB // 2, 17
"""What it takes to flush; vectors that are written anew with their labels before it does, and how
many times."""
PAGE, PAGE_ROWS, PAGES_READ, PAGES_LEFT = 16 * MIB, 16384, 5, 2
"""A page as it comes, as the client holds it, as it is decoded; and what the heap keeps of it."""
BLOCK_ROWS = 4096
"""Rows of a block of exact search; see ``graph.exact``."""
GPU_ROW, GPU_PROPOSED, GPU_STAGED = 20, 60, 8 * MIB
"""A GPU's share of the host: bytes of each value of a row that asks, and of each row that it is
given to measure; a piece of the vectors on its way there. What CUDA takes is not counted."""
SEARCH_BLOCK, SEARCH_LEFT = 96 * MIB, 40 * MIB
"""Proposals of a local index while they are ranked; and what the heap keeps of them."""
GRAPH_BLOCK, BLOCK_EDGE = 8192, 60
"""Rows of a block of an edge by edge stage, and bytes for each edge of it: ``methods.merge``."""
BOTH_ENDS = 1.5
"""Edges seen from both of their ends, beside those of the graph, if rows find each other on half of
them; see ``graph.walks``."""
ROW, ROW_PLANNED, TEXT_KEY = 60, 330, 140
"""Bytes a row: keys, partitions, labels and trees; labels as planned beside those stored; a key
that is a text."""
SENT_ROW, SENT_ROWS = 4096, 8192
"""Bytes a row on its way to the database, and how many are at a time."""
FOREST_ROW, TREE_ROW = 90, 150
"""Bytes a row of the spanning forest while it is found, beside the edges; and of the trees and
scores that are made of it, once the edges are spent."""
CORE_ROW = 8
"""Bytes a row while core distances are found, beside the ``min_samples`` nearest of each."""
SAMPLED_ROW = 40
"""Bytes a row: which rows are in a sample, where, and their labels."""
COLUMNS, SPARE_COLUMNS = 32, 24
"""Of a block in spectral smoothing, and about so many more than coordinates; see
``graph.chebyshev``, which would load the compiler.
"""
FILED_ROW = 75
"""Bytes a row in the record of a run: keys, labels before and after, what later rows are judged by,
fingerprints."""
ROWS_PER_WALK, FEWEST_WALKS = 500, 24
"""How many coordinates rows get, as a guess: it depends on how many groups they have."""
WORKER = 120 * MIB
"""A worker with its libraries, Dask's among them, before it is given anything."""
WORKER_ROWS, WORKER_READS = 50_000, 128 * MIB
"""Rows of a piece of the graph, about; vectors as they are read and as they are kept."""
MERGED_ROW = 120
"""Bytes a row of forests while they are merged: four, and the one that they become."""
TREE = 4
"""The tree in pieces: the graph, what its rows tell each other, what they have settled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a run is asked to do.

    ``walks``: coordinates of spectral smoothing, 0 without it. ``samples``: ``min_samples``.
    ``soft``: noise is given to its neighbours. ``local``: this process searches; ``index``: bytes
    of its index, 0 for every pair. ``gpu``: its GPU does; ``building``: bytes that are taken of the
    host, beside its index, while this is built. ``centered``: the vectors are prepared beside
    themselves.
    ``embedded``: Milvus Lite in our own process. ``text_keys``: keys are texts. ``keep_graph``: the
    graph goes into the record.
    ``workers``: other processes that share the work, as far as their number is known.
    """

    n_rows: int
    dim: int
    n_neighbors: int
    walks: int = 0
    samples: int = 0
    soft: bool = False
    resamples: int = 5
    local: bool = False
    index: int = 0
    gpu: bool = False
    building: int = 0
    centered: bool = False
    embedded: bool = False
    text_keys: bool = False
    keep_graph: bool = True
    workers: int = 0

    @property
    def vectors(self) -> int:
        """Bytes."""
        return 4 * self.n_rows * self.dim

    @property
    def edges(self) -> int:
        return self.n_rows * self.n_neighbors


def memory_bytes(job: Job, room: Room) -> dict[str, int]:
    """At the peak of each stage, pages of mapped files not counted."""
    base = {stage: held + _always(job, room) for stage, held in LIBRARIES.items()}
    smoothed = _pair(job, room) if job.walks else 0
    with_graph = _points(job, room) + _pair(job, room)
    kept = with_graph + smoothed
    hierarchy = _hierarchy(job, room, _pair(job, room))
    own = {
        "read": _page(job) * (PAGES_READ - PAGES_LEFT),
        "neighbors": with_graph + _searching(job, room),
        "audit": with_graph + _exact_block(job, 256),
        "cluster": with_graph + max(_smoothing(job), smoothed + hierarchy),
        "stability": kept + _sampling(job, room),
        "plan": kept + ROW_PLANNED * job.n_rows,
        "write": ROW_PLANNED * job.n_rows + SENT_ROW * min(job.n_rows, SENT_ROWS),
    }
    if job.local and job.index:
        own = {s: held + SEARCH_LEFT * (s not in ("read", "neighbors")) for s, held in own.items()}
    if job.embedded:
        served = EMBEDDED + round(EMBEDDED_READ * job.vectors)
        own = {stage: held + served for stage, held in own.items()}
        own["write"] += EMBEDDED_FLUSH + EMBEDDED_WRITE * min(job.vectors, EMBEDDED_BATCH)
    if not job.resamples:
        del own["stability"]
    return {stage: base[stage] + held for stage, held in own.items()}


def peak_bytes(job: Job, room: Room) -> int:
    """The most of all stages."""
    return max(memory_bytes(job, room).values())


def worker_bytes(job: Job, room: Room) -> int:
    """Of each worker at its peak; they read, search, and build the tree. 0 without any."""
    if not job.workers:
        return 0
    rows = min(job.n_rows, WORKER_ROWS)
    reading = min(2 * job.vectors, WORKER_READS) + _page(job) * PAGES_READ
    searching = _searching(job, room) + 8 * rows * job.n_neighbors
    return WORKER + max(reading, searching, MERGED_ROW * job.n_rows)


def likely_walks(n_rows: int) -> int:
    """Coordinates of spectral smoothing to reckon with."""
    return min(coordinates_for(n_rows), wanted_walks(n_rows))


def wanted_walks(n_rows: int) -> int:
    """Coordinates that rows would have if they could have any number."""
    return FEWEST_WALKS + n_rows // ROWS_PER_WALK


def disk_bytes(job: Job, room: Room) -> dict[str, int]:
    """Beside the records of runs ``meanwhile``, until the run ends, and ``record`` for good;
    ``pieces``, until it ends, where unfinished work lies: workers are given all vectors there, and
    leave the pieces of the tree.
    """
    pair = 8 * job.edges
    arrays = [job.vectors] * (1 + job.centered) + [pair // 2] * (4 if job.walks else 2)
    spilled = sum(size for size in arrays if not room.holds(size))
    worked_on = 0 if room.holds(pair // 2) else 2 * pair  # a sample and its copy
    worked_on += 0 if room.holds(_nearest(job)) else _nearest(job)
    index = 0 if room.holds(job.index) else job.index
    pieces = pair + (job.vectors + TREE * pair if job.workers else 0)
    graphs = pair * (1 + (job.walks > 0)) if job.keep_graph else 0  # as searched, as smoothed
    record = FILED_ROW * job.n_rows + graphs
    return {"meanwhile": spilled + worked_on + index, "pieces": pieces, "record": record}


def _always(job: Job, room: Room) -> int:
    """What is there from reading to the end."""
    keys = TEXT_KEY * job.n_rows if job.text_keys else 0
    vectors = job.vectors if room.holds(job.vectors) else 0
    return vectors + _page(job) * PAGES_LEFT + ROW * job.n_rows + keys


def _page(job: Job) -> int:
    return min(job.vectors, PAGE, 4 * job.dim * PAGE_ROWS)


def _points(job: Job, room: Room) -> int:
    return job.vectors if job.centered and room.holds(job.vectors) else 0


def _pair(job: Job, room: Room) -> int:
    """Indices and distances of all neighbours."""
    return 8 * job.edges if room.holds(4 * job.edges) else 0


def _searching(job: Job, room: Room) -> int:
    if job.gpu:
        return _searching_on_gpu(job, room)
    if not job.local:
        return min(job.n_rows, BLOCK_ROWS) * job.n_neighbors * 60
    if not job.index:
        return _exact_block(job, BLOCK_ROWS)
    return min(job.index, room.memory_bytes) + SEARCH_BLOCK


def _searching_on_gpu(job: Job, room: Room) -> int:
    """Rows that ask and what is proposed to them, while they are measured here: from every pair, or
    from a graph, which lies where the room says once it is built.
    """
    k, graph = job.n_neighbors, job.index if room.holds(job.index) else 0
    proposed = max(k + 17, 3 * k // 2 + 32 if job.index else 0)
    asked = min(job.n_rows, BLOCK_ROWS) * (GPU_ROW * job.dim + GPU_PROPOSED * proposed)
    return graph + max(job.building, asked + GPU_STAGED)


def _exact_block(job: Job, queries: int) -> int:
    """Values of a block while those of the one before are there, vectors, proposals."""
    base, asked = min(job.n_rows, BLOCK_ROWS), min(job.n_rows, queries)
    values = 4 * asked * min(job.n_rows, 2 * base)
    return values + (base + asked) * 12 * job.dim + asked * 60 * (job.n_neighbors + 17)


def _smoothing(job: Job) -> int:
    """The walks: edges seen from both ends while they are put in order; then, beside them, blocks
    of columns, the coordinates as they are looked for, and those that are found.
    """
    if not job.walks:
        return 0
    edges = round(5 * BOTH_ENDS * job.edges)
    looked_for = min(MOST * job.n_rows, max(FEWEST * job.n_rows, MOST_VALUES))
    looked_for = 4 * (looked_for + SPARE_COLUMNS * job.n_rows)
    block = 4 * COLUMNS * job.n_rows
    put_in_order = 2 * edges + 2 * block + ROW * job.n_rows
    return max(put_in_order, edges + looked_for + max(3 * block, 4 * job.walks * job.n_rows))


def _hierarchy(job: Job, room: Room, copied: int) -> int:
    """The copy of the edges that is worked on, then what is made of it, then who is near noise."""
    nearest = _nearest(job) if room.holds(_nearest(job)) else 0
    a_row = max(FOREST_ROW * job.n_rows, CORE_ROW * job.n_rows + nearest)
    return max(copied + a_row, TREE_ROW * job.n_rows + _links(job, room))


def _nearest(job: Job) -> int:
    """Distances to the ``min_samples`` nearest of each row; see ``hierarchy.reachability``."""
    return 4 * job.samples * job.n_rows


def _links(job: Job, room: Room) -> int:
    """Edges of noise, weighted and then from both ends, if half of the rows are noise; and a block
    of edges between clusters. On disk they take what the copy of the edges has left.
    """
    block = BLOCK_EDGE * min(job.n_rows, GRAPH_BLOCK) * job.n_neighbors
    held = [size for size in (2 * job.edges, 4 * job.edges) if room.holds(size)]
    return max(held, default=0) + block if job.soft else 0


def _sampling(job: Job, room: Room) -> int:
    """The graph of a sample, and what is made of it; places and labels of all rows."""
    part = replace(job, n_rows=job.n_rows * 4 // 5)
    sample = _pair(job, room) * 4 // 5
    return sample + _hierarchy(part, room, sample) + SAMPLED_ROW * job.n_rows
