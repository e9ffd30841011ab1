"""The rule of sizes: what it says at known numbers, and that it has no cliff."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdbcluster.methods.rule import Sizes, sizes
from vdbcluster.model.params import HdbscanParams


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (0, Sizes(1, 0.25, 5, 1)),
        (1, Sizes(1, 0.25, 5, 1)),
        (2, Sizes(1, 0.25, 5, 1)),
        (3, Sizes(2, 0.25, 5, 2)),
        (10, Sizes(9, 0.25, 5, 5)),
        (165, Sizes(15, 0.25, 5, 5)),
        (2_225, Sizes(47, 0.25, 12, 10)),
        (9_000, Sizes(50, 0.25, 24, 10)),
        (13_083, Sizes(50, 0.2307, 29, 10)),
        (20_000, Sizes(50, 0.2031, 35, 10)),
        (1_000_000, Sizes(50, 0.0628, 250, 10)),
    ],
)
def test_known_numbers(n, expected):
    found = sizes(n)
    assert found.cut == pytest.approx(expected.cut, abs=1e-4)
    assert (found.n_neighbors, found.min_cluster_size, found.min_samples) == (
        expected.n_neighbors,
        expected.min_cluster_size,
        expected.min_samples,
    )


def test_the_cut_follows_the_neighbours_that_somebody_chose():
    assert sizes(10_000, 30).cut == pytest.approx(0.25 * 0.6**0.6)
    assert sizes(20_000, 100).cut == 0.25
    assert sizes(20_000, 15).cut < sizes(20_000, 30).cut < sizes(20_000).cut
    assert sizes(40, 100).n_neighbors == 39


@given(n=st.integers(0, 10**9), asked=st.none() | st.integers(1, 16_000))
def test_sizes_fit_a_graph_and_the_hierarchy(n, asked):
    found = sizes(n, asked)
    HdbscanParams(min_cluster_size=found.min_cluster_size, min_samples=found.min_samples)
    assert 1 <= found.n_neighbors <= max(1, n - 1)
    assert found.min_samples <= min(found.n_neighbors, found.min_cluster_size)
    assert 0 < found.cut <= 0.25
    assert asked is None or found.n_neighbors <= asked


@given(n=st.integers(50, 10**8))
def test_neighbouring_numbers_of_rows_get_neighbouring_sizes(n):
    one, other = sizes(n), sizes(n + 1)
    assert 0 <= other.n_neighbors - one.n_neighbors <= 1
    assert 0 <= other.min_cluster_size - one.min_cluster_size <= 1
    assert other.cut <= one.cut < other.cut * 1.02 or one.n_neighbors < other.n_neighbors


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="least"):
        sizes(-1)
    with pytest.raises(ValueError, match="least"):
        sizes(10, 0)
