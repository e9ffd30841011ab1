"""Time by a sample of the work: rows that cannot be compared are not searched for."""

from __future__ import annotations

import numpy as np
import pytest

from vdbcluster.adapters.local_neighbors import EXACT_ROWS, LocalNeighbors
from vdbcluster.adapters.memory import MemorySource
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.config.settings import load_settings
from vdbcluster.graph.distance import prepare
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.cost import TOLD, Load
from vdbcluster.pipeline.estimate import COMPARED, estimate, load_of, time_audit, time_sample
from vdbcluster.pipeline.needs import Job
from vdbcluster.pipeline.read import usable
from vdbcluster.pipeline.room import Room

LOAD = Load(3000, 4, 10, engine="exact")


def search(page: Rows) -> tuple[LocalNeighbors, np.ndarray]:
    fit, _ = usable(page, direction=True)
    points = prepare(fit.vectors, "chord")
    return LocalNeighbors(points, "chord"), points


def source(rows: int, gone: int = 0) -> MemorySource:
    vectors = np.random.default_rng(0).normal(size=(rows, 4)).astype(np.float32)
    vectors[:gone] = 0
    return MemorySource(MemoryCollection(vectors))


@pytest.mark.parametrize(("gone", "sampled"), [(0, 30), (1, 30), (28, 30), (29, 0), (30, 0)])
def test_vectors_that_cannot_be_compared(gone: int, sampled: int) -> None:
    found, timed = time_sample(source(30, gone), search, LOAD, "chord")
    assert found == sampled
    assert set(timed) == ({"read", "neighbors", "audit"} if sampled else set())
    assert all(seconds > 0 for seconds in timed.values())


def test_no_index_is_built_for_a_sample() -> None:
    assert COMPARED <= EXACT_ROWS


def test_every_stage_is_told_where_a_sample_was_timed_and_none_else() -> None:
    sampled, timed = time_sample(source(300), search, LOAD, "chord")
    told = estimate(Job(n_rows=3000, dim=4, n_neighbors=10), Room(1 << 30), LOAD, sampled, timed)
    assert list(told.seconds) == list(TOLD)
    nothing = estimate(Job(n_rows=3000, dim=4, n_neighbors=10), Room(1 << 30), LOAD, 0, {})
    assert nothing.seconds == {}


def test_an_audit_that_nobody_asked_for_is_not_timed() -> None:
    points = np.zeros((10, 2), np.float32)
    assert time_audit(points, Load(10, 2, 3, audited=0), "euclidean") == {}
    assert time_audit(points[:1], Load(1, 2, 3), "euclidean") == {}
    assert time_audit(points, Load(10, 2, 3), "euclidean")["audit"] > 0


def test_what_the_settings_ask_for() -> None:
    asked = load_settings({"scale": {"workers": 4}, "cluster": {"resamples": 2}})
    load = load_of(asked, 20_000, 8, "cells")
    assert (load.n_rows, load.dim, load.workers, load.resamples, load.audited) == (
        20_000,
        8,
        4,
        2,
        200,
    )
    assert load.walks == 64
    assert load_of(load_settings({"cluster": {"method": "hdbscan"}}), 20_000, 8, "cells").walks == 0
    assert load_of(load_settings({}), 5, 8, "cells").n_neighbors == 4
    plain = load_settings({"cluster": {"method": "hdbscan"}})
    assert [load_of(how, 9, 8, "exact").clustered for how in (asked, plain)] == [1.0, 0.5]
    centred = [load_of(asked, 9, 8, engine).centred for engine in ("cells", "local", "exact")]
    assert centred == [False, True, True]
    assert [load_of(asked, 9, 8, "exact", lite=lite).rewrites for lite in (True, False)] == [
        True,
        False,
    ]
