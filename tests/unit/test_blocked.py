"""Search by blocks in array code, against exact search on the CPU; a GPU is played by numpy."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.data import embeddings
from tests.stand_in_gpu import DeviceArray, StandIn
from tests.unit.test_measure import some_points
from vdbcluster.graph import blocked
from vdbcluster.graph.blocked import Blocks, blocked_neighbors, multiplies_in_float32
from vdbcluster.graph.distance import METRICS, prepare
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.graph.least import FOLD, least_columns, most_columns
from vdbcluster.quality.recall import audit_sample

XP = StandIn()


def least(block: NDArray[np.float32], width: int) -> NDArray[np.int64]:
    found: NDArray[np.int64] = XP.asnumpy(least_columns(XP, XP.asarray(block), width))
    return found


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 5),
    columns=st.sampled_from((1, 7, 255, 256, 1024, 4096, 4352, 20_480)),
    width=st.integers(1, 20),
    values=st.sampled_from((2, 5, 1000)),
)
def test_least_columns_are_those_of_a_stable_sort(
    seed: int, rows: int, columns: int, width: int, values: int
) -> None:
    """Ties, negative values, infinities; widths that are folded twice, once and not at all."""
    rng = np.random.default_rng(seed)
    block = rng.integers(-values, values, (rows, columns)).astype(np.float32) / 2
    block[rng.random(block.shape) < 0.1] = np.inf
    width = min(width, columns)
    expected = np.argsort(block, axis=1, kind="stable")[:, :width]
    np.testing.assert_array_equal(least(block, width), expected)


def test_least_columns_where_all_of_them_lie_in_one_group() -> None:
    groups = 4096 // FOLD
    block = np.ones((2, 4096), np.float32)
    block[0, 5::groups] = -np.arange(FOLD)
    block[1, -3:] = 0
    np.testing.assert_array_equal(least(block, FOLD)[0], np.arange(4096)[5::groups][::-1])
    np.testing.assert_array_equal(least(block, 4)[1], [4093, 4094, 4095, 0])


def test_row_and_column_fit_beside_the_value() -> None:
    for rows in (1, 2, 3, 4096):
        bits = (most_columns(rows) - 1).bit_length() + (rows - 1).bit_length()
        assert bits <= 32
    assert most_columns(4096) == 1 << 20


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 700),
    k=st.integers(1, 60),
    kilobytes=st.sampled_from((1, 300, 4000)),
)
def test_the_answer_is_that_of_exact_search(
    metric: str, seed: int, n: int, k: int, kilobytes: int
) -> None:
    """With ties and copies, vectors that stay and vectors that are brought anew, one block or 3."""
    rng = np.random.default_rng(seed)
    rows = some_points(rng, metric, n, 3)
    which = rng.permutation(n)[:50]
    found = blocked_neighbors(rows, which, k, metric, xp=XP, memory_bytes=kilobytes << 10)
    true = exact_neighbors(rows, which, k, metric)
    np.testing.assert_array_equal(found[0], true[0])
    np.testing.assert_array_equal(found[1], true[1])


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("stackoverflow20k.minilm-l6-int8.384.f16.npy", "chord"),
        ("banking77.minilm-l6-int8.384.f16.npy", "euclidean"),
        ("thucnews10k.e5-small-q4.384.f16.npy", "angular"),
        ("fashion_mnist70k.pca50.f16.npy", "euclidean"),
        ("glove50_top200k.f16.npy", "chord"),
    ],
)
def test_real_vectors_are_answered_to_the_last_bit(name: str, metric: str) -> None:
    rows = prepare(embeddings(name), metric)
    which = audit_sample(len(rows), 100, seed=7)
    found = blocked_neighbors(rows, which, 50, metric, xp=XP, memory_bytes=96 << 20)
    true = exact_neighbors(rows, which, 50, metric)
    np.testing.assert_array_equal(found[0], true[0])
    np.testing.assert_array_equal(found[1], true[1])


@pytest.mark.parametrize("metric", ["hamming", "jaccard"])
def test_real_bits_with_their_ties(metric: str) -> None:
    bits = embeddings("bbc2225.minilm-l6-int8.384.f16.npy")[:, :64] > 0
    rows = prepare(bits.astype(np.float32), metric)
    which = np.arange(0, len(rows), 20)
    found = blocked_neighbors(rows, which, 40, metric, xp=XP, memory_bytes=2 << 20)
    true = exact_neighbors(rows, which, 40, metric)
    np.testing.assert_array_equal(found[0], true[0])


def test_a_large_offset_costs_no_neighbour() -> None:
    rng = np.random.default_rng(3)
    rows = (rng.normal(size=(900, 8)) + 5000).astype(np.float32)
    found, true = (
        search(rows, np.arange(100), 20, "euclidean")
        for search in (blocked_neighbors, exact_neighbors)
    )
    np.testing.assert_array_equal(found[0], true[0])


def test_what_overflows_is_padding() -> None:
    rows = np.full((5, 2), 1e30, np.float32) * np.arange(1, 6, dtype=np.float32)[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        indices, distances = blocked_neighbors(rows, np.arange(5), 3, "euclidean", xp=XP)
    assert (indices == -1).all()
    assert np.isinf(distances).all()


def test_no_position_lies_beyond_the_last_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel would read there. NaN may be farther than what pads the block."""

    def too_far(xp: StandIn, block: DeviceArray, width: int) -> DeviceArray:
        return xp.asarray(np.tile(np.arange(3, 3 + width), (len(block), 1)))

    monkeypatch.setattr(blocked, "least_columns", too_far)
    rows = np.ones((5, 2), np.float32)
    candidates, _ = Blocks(XP, rows, "euclidean", 1 << 20).propose(np.arange(2), 4)
    np.testing.assert_array_equal(candidates, [[3, 4, -1, -1]] * 2)


def test_self_is_found_where_it_is_wanted() -> None:
    rows = some_points(np.random.default_rng(0), "chord", 40, 3)
    found = blocked_neighbors(rows, np.arange(9), 3, "chord", exclude_self=False)
    true = exact_neighbors(rows, np.arange(9), 3, "chord", exclude_self=False)
    np.testing.assert_array_equal(found[0], true[0])


@pytest.mark.parametrize("metric", ["euclidean", "jaccard"])
@pytest.mark.parametrize(("megabytes", "resident"), [(24, True), (4, False)])
def test_memory_is_bounded(metric: str, megabytes: int, resident: bool) -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 2, (20_000, 32)).astype(np.float32)
    which = np.arange(200)
    tracemalloc.start()
    try:
        blocks = Blocks(np, rows, metric, megabytes << 20)
        assert blocks.resident is resident
        blocks.propose(which, 20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0.2 * (megabytes << 20) < peak < megabytes << 20


def test_products_of_fewer_bits_are_noticed() -> None:
    class InTf32(DeviceArray):
        def __matmul__(self, other: DeviceArray) -> DeviceArray:
            kept = self.held.view(np.uint32) & np.uint32(0xFFFFE000)
            return DeviceArray(kept.view(np.float32) @ other.held)

    class Rounding(StandIn):
        def full(self, *args: object) -> DeviceArray:
            return InTf32(np.full(*args))  # type: ignore[call-overload]

    assert multiplies_in_float32(np)
    assert multiplies_in_float32(XP)
    assert not multiplies_in_float32(Rounding())


def test_the_stand_in_keeps_host_and_device_apart() -> None:
    device, host = XP.asarray(np.ones(3, np.float32)), np.ones(3, np.float32)
    for mixed in (
        lambda: device + host,  # type: ignore[operator]
        lambda: host + device,
        lambda: device[np.array([0])],
        lambda: XP.concatenate((device, host)),
        lambda: np.asarray(device),
    ):
        with pytest.raises(TypeError, match="was taken for one of the"):
            mixed()
    with pytest.raises(AttributeError):
        XP.argpartition  # noqa: B018


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(ValueError, match="must be one of"):
        blocked.Blocks(np, np.ones((3, 2), np.float32), "cosine", 1 << 20)
