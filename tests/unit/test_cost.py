"""The cost model: its terms, its fit, its calibration; and what holds of it for any load."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdbcluster.pipeline import cost
from vdbcluster.pipeline.cost import Load

RATES: dict[str, tuple[float, ...]] = {
    "other": (4.0, 0.0),
    "read": (0.5, 2e-8),
    "neighbors": (1.0, 3e-4, 1e-12),
    "cluster": (0.2, 5e-9, 1e-8),
    "write": (1.0, 1e-4),
}
SIZES = (20_000, 50_000, 100_000, 200_000)

loads = st.builds(
    Load,
    n_rows=st.integers(2, 10**9),
    dim=st.integers(1, 4096),
    n_neighbors=st.integers(1, 200),
    method=st.sampled_from(["auto", "hdbscan", "leaf", "layers"]),
    engine=st.sampled_from(["cells", "graph", "local", "exact"]),
    workers=st.integers(1, 64),
)


def runs(method: str = "hdbscan") -> list[tuple[Load, dict[str, float]]]:
    return [(load, cost.seconds(load, RATES)) for load in (Load(n, method=method) for n in SIZES)]


@pytest.mark.parametrize("method", ["hdbscan", "auto"])
def test_a_larger_run_is_foretold_from_smaller_ones(method: str) -> None:
    rates = cost.fitted(runs(method))
    large = Load(1_000_000, method=method)
    off = cost.within(cost.seconds(large, rates), cost.seconds(large, RATES))
    assert set(off) == set(RATES)
    assert all(abs(value) < 0.05 for value in off.values()), off


def test_no_rate_is_negative_though_seconds_fall() -> None:
    rates = cost.fitted([(Load(n), {"write": 10.0 - n / 1e5}) for n in SIZES])
    assert min(rates["write"]) >= 0


def test_a_short_run_counts_as_much_as_a_long_one() -> None:
    told = [(Load(1000), {"write": 1.0}), (Load(1_000_000), {"write": 1000.0})]
    rates = cost.fitted(told)
    assert cost.seconds(Load(1000), rates)["write"] == pytest.approx(1, rel=0.01)
    assert cost.seconds(Load(1_000_000), rates)["write"] == pytest.approx(1000, rel=0.01)


def test_stages_that_the_model_does_not_know_go_to_the_others() -> None:
    known = cost.fitted([(Load(n), {"other": 2.0, "layout": 3.0}) for n in SIZES])
    assert cost.seconds(Load(50_000), known) == {"other": pytest.approx(5.0)}


def test_without_a_run_there_are_no_rates() -> None:
    with pytest.raises(ValueError, match="there is none"):
        cost.fitted([])


def test_first_batches_make_the_rates_those_of_this_machine() -> None:
    load = Load(100_000, method="hdbscan", workers=4)
    slow = {stage: 3 * t for stage, t in cost.seconds(replace(load, workers=1), RATES).items()}
    timed = {stage: slow[stage] for stage in ("read", "neighbors")}
    rates = cost.calibrated(RATES, load, timed)
    assert cost.seconds(replace(load, workers=1), rates) == pytest.approx(slow)


def test_calibrating_with_nothing_changes_nothing() -> None:
    assert cost.calibrated(RATES, Load(1000), {}) == RATES


def test_only_smoothing_pays_for_coordinates() -> None:
    assert cost.terms("cluster", Load(1000, method="hdbscan"))[2] == 0
    assert cost.terms("cluster", Load(1000, method="auto"))[2] > 0


def test_how_far_off() -> None:
    measured = {"read": 2.0, "plan": 0.0, "map": 1.0}
    assert cost.within({"read": 3.0, "plan": 1.0}, measured) == {"read": 0.5}


@given(load=loads, more=st.integers(1, 10**9))
def test_more_rows_never_cost_less(load: Load, more: int) -> None:
    before = cost.seconds(load, RATES)
    after = cost.seconds(replace(load, n_rows=load.n_rows + more), RATES)
    smoothed = load.method not in ("hdbscan", "leaf")  # more rows may get fewer coordinates
    assert all(
        after[s] >= t * (1 - 1e-9) for s, t in before.items() if s != "cluster" or not smoothed
    )


@given(load=loads)
def test_workers_share_what_they_can_and_nothing_else(load: Load) -> None:
    alone = cost.seconds(replace(load, workers=1), RATES)
    shared = cost.seconds(load, RATES)
    for stage, t in alone.items():
        factor = load.workers if stage in cost.DIVIDED else 1
        assert shared[stage] * factor == pytest.approx(t)
