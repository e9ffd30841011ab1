"""True distances at the border, and search parameters that servers accept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdbcluster.adapters.milvus.distances import (
    distance_name,
    is_near,
    not_found,
    refine_near,
    require_unit_length,
    to_distances,
)
from vdbcluster.adapters.milvus.effort import Effort, ann_index, is_exhaustive, search_params
from vdbcluster.errors import UsageError
from vdbcluster.model.collection import CollectionProfile, KeyField, ServerInfo, VectorField


def unit(rows: int, dim: int = 32) -> np.ndarray:
    vectors = np.random.default_rng(4).normal(size=(rows, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_scores_become_true_distances() -> None:
    vectors = unit(40)
    exact = np.linalg.norm(vectors[:, None].astype(float) - vectors[None], axis=2)
    cosine = (vectors @ vectors.T).astype(np.float32)
    off = ~np.eye(40, dtype=bool)

    for metric, scores in (("L2", exact**2), ("COSINE", cosine), ("IP", cosine)):
        found = to_distances(metric, scores.astype(np.float32))
        np.testing.assert_allclose(found[off], exact[off], atol=1e-6)
        assert found.dtype == np.float32


@pytest.mark.parametrize("metric", ["L2", "COSINE", "IP", "HAMMING", "JACCARD"])
def test_not_found_and_nan_are_infinitely_far(metric: str) -> None:
    scores = np.array([not_found(metric), np.nan], dtype=np.float32)

    assert np.isposinf(to_distances(metric, scores)).all()


def test_rounding_never_makes_a_distance_negative_or_nan() -> None:
    assert to_distances("COSINE", np.array([1.0000001], np.float32))[0] == 0
    assert to_distances("L2", np.array([-1e-7], np.float32))[0] == 0


@pytest.mark.parametrize("metric", [None, "BM25", "SUBSTRUCTURE"])
def test_metric_without_a_distance_is_refused(metric: str | None) -> None:
    with pytest.raises(UsageError, match="--neighbors local"):
        distance_name(metric)


def test_inner_product_needs_unit_length() -> None:
    vectors = unit(20)
    require_unit_length(vectors)
    vectors[19] *= 1.01

    with pytest.raises(UsageError, match=r"length 1\.01"):
        require_unit_length(vectors)


def test_near_duplicates_are_computed_again() -> None:
    first = unit(50)
    second = first + np.float32(1e-5)
    cosine = np.einsum("ij,ij->i", first, second).astype(np.float32)
    lengths = np.linalg.norm(second, axis=1).astype(np.float32)
    rough = to_distances("COSINE", cosine / lengths)

    near = is_near("COSINE", rough[:, None], lengths)
    refined = refine_near("COSINE", rough, first, second)

    pair = (first.astype(float), second.astype(float))
    one, other = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in pair)
    exact = np.linalg.norm(one - other, axis=1)
    assert near.all()
    assert np.abs(rough - exact).max() > 1e-5
    np.testing.assert_allclose(refined, exact, rtol=1e-6)
    assert not is_near("COSINE", np.array([[0.5]], np.float32), lengths[:1]).any()
    assert not is_near("HAMMING", np.array([[0.0]], np.float32), lengths[:1]).any()


INDEXES = ("HNSW", "HNSW_SQ", "IVF_FLAT", "IVF_PQ", "SCANN", "DISKANN", "GPU_CAGRA", "BIN_IVF_FLAT")


@given(st.sampled_from(INDEXES), st.integers(2, 3000), st.integers(1, 5000), st.integers(1, 4096))
def test_more_effort_is_never_less_work(index: str, limit: int, number: int, cells: int) -> None:
    field = VectorField("vec", index, 8, "L2", index, {"nlist": str(cells)})
    levels: list[Effort] = ["low", "medium", "high"]

    found = [search_params(field, limit, effort) for effort in (*levels, number, number + 1)]

    for name in found[0]:
        low, medium, high, less, more = (params[name] for params in found)
        assert 1 <= low <= medium <= high
        assert 1 <= less <= more
        assert name != "nprobe" or high <= cells
        assert name not in ("ef", "search_list", "reorder_k", "itopk_size") or low >= limit


@pytest.mark.parametrize("index", [None, "FLAT", "BIN_FLAT"])
def test_no_index_no_parameters(index: str | None) -> None:
    field = VectorField("vec", "FLOAT_VECTOR", 8, "L2", index)

    assert search_params(field, 10, "high") == {}
    assert is_exhaustive(field)


def test_lite_and_brute_force_are_not_worth_asking() -> None:
    def worth(server: str, index: str | None) -> bool:
        field = VectorField("vec", "FLOAT_VECTOR", 8, "L2", index)
        key = KeyField("key", "INT64", auto_id=False)
        info = ServerInfo(server, "v", "a")  # type: ignore[arg-type]
        profile = CollectionProfile(
            info, "c", "1", 1, key, (field,), (), False, ("_default",), None, True
        )
        return ann_index(profile, field)

    assert worth("server", "HNSW")
    assert worth("server", "AUTOINDEX")
    assert not worth("server", "FLAT")
    assert not worth("server", None)
    assert not worth("lite", "HNSW")
