"""What a run takes of memory and disk, by stage, before it begins.

In: ``Job`` (rows, dimension, neighbours, method, who searches, where the database lives), ``Room``.
Out: bytes by stage, bytes of files by kind. Promise: pure arithmetic on what the stages allocate;
more rows never take less, a smaller room never takes more memory.

    job = Job(n_rows=1_000_000, dim=384, n_neighbors=50, smooth=True)
    max(memory_bytes(job, room).values())
    disk_bytes(job, room)

The terms are those of the code: what is O(n k) or O(n d) is counted array by array, each in memory
only where the room holds it; blocks of work are bounded, and their bounds are here. The constants
are what this process had in use on Linux with Python 3.11 (``scripts/bench_estimate`` measures
anew): libraries and compiled code, which make up nearly all of it below 10,000 rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vdbcluster.graph.coordinates import coordinates_for
from vdbcluster.pipeline.room import Room

MIB = 1 << 20
LIBRARIES: Mapping[str, int] = {
    "read": 135 * MIB,
    "neighbors": 143 * MIB,
    "audit": 160 * MIB,
    "cluster": 172 * MIB,
    "stability": 172 * MIB,
    "plan": 178 * MIB,
    "write": 178 * MIB,
}
"""In use by each stage beside what rows take."""
EMBEDDED, EMBEDDED_READ = 38 * MIB, 8.5
"""Milvus Lite in our own process: by itself, and how many times the vectors once they are read."""
EMBEDDED_BATCH, EMBEDDED_WRITE = 27 * MIB // 2, 17
"""Vectors that are written anew with their labels before it flushes them, and how many times."""
PAGE, PAGES_READ, PAGES_LEFT = 16 * MIB, 5, 3
"""A page as it comes, as the client holds it, as it is decoded; and what the heap keeps of it."""
BLOCK_ROWS = 4096
"""Rows of a block of exact search; see ``graph.exact``."""
SEARCH_BLOCK = 96 * MIB
"""Proposals of a local index while they are ranked."""
GRAPH_BLOCK = 65536
"""Rows of a block of an edge by edge stage."""
ROW, ROW_PLANNED, TEXT_KEY = 60, 330, 140
"""Bytes a row: keys, partitions, labels and trees; labels as planned beside those stored; a key
that is a text."""
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

    ``walks``: coordinates of spectral smoothing, 0 without it. ``soft``: noise is given to its
    neighbours. ``local``: this process searches; ``index``: bytes of its index, 0 for every pair.
    ``centered``: the vectors are prepared beside themselves. ``embedded``: Milvus Lite in our own
    process. ``text_keys``: keys are texts. ``keep_graph``: the graph goes into the record.
    ``workers``: other processes that share the work, as far as their number is known.
    """

    n_rows: int
    dim: int
    n_neighbors: int
    walks: int = 0
    soft: bool = False
    resamples: int = 5
    local: bool = False
    index: int = 0
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
    reading = min(job.vectors, PAGE) * (PAGES_READ - PAGES_LEFT)
    own = {
        "read": reading,
        "neighbors": with_graph + _searching(job, room),
        "audit": with_graph + _exact_block(job, 256),
        "cluster": with_graph + max(_smoothing(job), smoothed + _pair(job, room) + _hierarchy(job)),
        "stability": kept + _sampling(job, room),
        "plan": kept + ROW_PLANNED * job.n_rows,
        "write": ROW_PLANNED * job.n_rows,
    }
    if job.embedded:
        served = EMBEDDED + round(EMBEDDED_READ * job.vectors)
        own = {stage: held + served for stage, held in own.items()}
        own["write"] += EMBEDDED_WRITE * min(job.vectors, EMBEDDED_BATCH)
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
    reading = min(2 * job.vectors, WORKER_READS) + min(job.vectors, PAGE) * PAGES_READ
    searching = _searching(job, room) + 8 * rows * job.n_neighbors
    return WORKER + max(reading, searching, MERGED_ROW * job.n_rows)


def likely_walks(n_rows: int) -> int:
    """Coordinates of spectral smoothing to reckon with."""
    return min(coordinates_for(n_rows), FEWEST_WALKS + n_rows // ROWS_PER_WALK)


def disk_bytes(job: Job, room: Room) -> dict[str, int]:
    """Beside the records of runs ``meanwhile``, until the run ends, and ``record`` for good;
    ``pieces``, until it ends, where unfinished work lies: workers are given all vectors there, and
    leave the pieces of the tree.
    """
    pair = 8 * job.edges
    arrays = [job.vectors] * (1 + job.centered) + [pair // 2] * (4 if job.walks else 2)
    spilled = sum(size for size in arrays if not room.holds(size))
    worked_on = 0 if room.holds(pair // 2) else 2 * pair  # a sample and its copy
    index = 0 if room.holds(job.index) else job.index
    pieces = pair + (job.vectors + TREE * pair if job.workers else 0)
    graphs = pair * (1 + (job.walks > 0)) if job.keep_graph else 0  # as searched, as smoothed
    record = FILED_ROW * job.n_rows + graphs
    return {"meanwhile": spilled + worked_on + index, "pieces": pieces, "record": record}


def _always(job: Job, room: Room) -> int:
    """What is there from reading to the end."""
    keys = TEXT_KEY * job.n_rows if job.text_keys else 0
    vectors = job.vectors if room.holds(job.vectors) else 0
    return vectors + min(job.vectors, PAGE) * PAGES_LEFT + ROW * job.n_rows + keys


def _points(job: Job, room: Room) -> int:
    return job.vectors if job.centered and room.holds(job.vectors) else 0


def _pair(job: Job, room: Room) -> int:
    """Indices and distances of all neighbours."""
    return 8 * job.edges if room.holds(4 * job.edges) else 0


def _searching(job: Job, room: Room) -> int:
    if not job.local:
        return min(job.n_rows, BLOCK_ROWS) * job.n_neighbors * 60
    if not job.index:
        return _exact_block(job, BLOCK_ROWS)
    return min(job.index, room.memory_bytes) + SEARCH_BLOCK


def _exact_block(job: Job, queries: int) -> int:
    base, asked = min(job.n_rows, BLOCK_ROWS), min(job.n_rows, queries)
    return 4 * base * asked + (base + asked) * 12 * job.dim + asked * 60 * (job.n_neighbors + 17)


def _smoothing(job: Job) -> int:
    """Edges seen from both ends while they are sorted, or coordinates beside them; see
    ``graph.spectral``.
    """
    if not job.walks:
        return 0
    sorted_out = 20 * job.edges
    walked = 11 * job.edges + 4 * job.n_rows * (job.walks + 20 + 4 * min(32, job.walks + 20))
    return max(sorted_out, walked)


def _links(job: Job) -> int:
    """Edges of noise, from both ends and weighted, if half of the rows are noise."""
    return 8 * job.edges if job.soft else 0


def _hierarchy(job: Job) -> int:
    return 100 * job.n_rows + _links(job)


def _sampling(job: Job, room: Room) -> int:
    """A sample of the graph: a block of edges on the way to it, then the copy that is worked on."""
    block = 40 * min(job.n_rows, GRAPH_BLOCK) * job.n_neighbors
    sample = _pair(job, room) * 4 // 5
    return sample + max(block, sample + _hierarchy(job))
