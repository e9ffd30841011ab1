"""The cost model: its terms, its fit, its calibration; and what holds of it for any load."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdbcluster.graph import chebyshev
from vdbcluster.pipeline import cost, needs
from vdbcluster.pipeline.cost import Load
from vdbcluster.pipeline.needs import likely_walks

RATES: dict[str, tuple[float, ...]] = {
    "other": (4.0, 0.0),
    "read": (0.5, 0.0, 2e-8, 7e-5, 3e-7),
    "neighbors": (1.0, 3e-4, 1e-12, 0.0, 0.0, 0.0, 0.0, 0.0),
    "cluster": (0.2, 5e-9, 0.5, 1e-8),
    "write": (1.0, 1e-4, 0.0, 1e-6),
}
SIZES = (20_000, 50_000, 100_000, 200_000)

loads = st.builds(
    Load,
    n_rows=st.integers(2, 10**9),
    dim=st.integers(1, 4096),
    n_neighbors=st.integers(1, 200),
    walks=st.integers(0, 256),
    engine=st.sampled_from(["cells", "graph", "local", "exact", "gpu"]),
    workers=st.integers(1, 64),
    resamples=st.integers(0, 10),
    audited=st.integers(0, 1000),
    lite=st.booleans(),
    rewrites=st.booleans(),
)


def sized(n: int, *, smooth: bool) -> Load:
    return Load(n, walks=likely_walks(n) if smooth else 0)


@pytest.mark.parametrize("smooth", [False, True])
def test_a_larger_run_is_foretold_from_smaller_ones(smooth: bool) -> None:
    small = [sized(n, smooth=smooth) for n in SIZES]
    rates = cost.fitted([(load, cost.seconds(load, RATES)) for load in small])
    large = sized(1_000_000, smooth=smooth)
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


@pytest.mark.parametrize("engine", ["cells", "graph", "local", "exact", "gpu"])
def test_first_batches_make_the_rates_those_of_this_machine(engine: cost.Engine) -> None:
    load = Load(100_000, engine=engine, workers=4)
    slow = {stage: 3 * t for stage, t in cost.seconds(load, RATES).items()}
    timed = {stage: slow[stage] for stage in ("read", "neighbors")}
    rates = cost.calibrated(RATES, load, timed)
    assert cost.seconds(load, rates) == pytest.approx(slow)
    assert cost.foretold(load, timed, RATES) == pytest.approx(
        {stage: t for stage, t in slow.items() if stage in cost.TOLD}
    )


@pytest.mark.parametrize(
    ("engine", "here"), [("exact", 2.0), ("local", 5.0), ("cells", 5.0), ("graph", 5.0)]
)
def test_a_server_says_nothing_of_this_processor_where_that_was_timed(
    engine: cost.Engine, here: float
) -> None:
    load = Load(100_000, engine=engine, audited=0)
    usual = cost.seconds(load, cost.RATES)
    timed = {"read": 5 * usual["read"], "neighbors": 2 * usual["neighbors"]}
    found = cost.foretold(load, timed)
    assert found["write"] == pytest.approx(5 * usual["write"])
    assert found["cluster"] == pytest.approx(here * usual["cluster"])


def test_the_audit_tells_of_this_processor_whoever_searches() -> None:
    load = Load(100_000, engine="cells")
    usual = cost.seconds(load, cost.RATES)
    timed = {stage: 5 * usual[stage] for stage in ("read", "neighbors")}
    found = cost.foretold(load, timed | {"audit": usual["audit"] / 2})
    assert found["cluster"] == pytest.approx(usual["cluster"] / 2)
    assert found["write"] == pytest.approx(5 * usual["write"])


def test_what_was_timed_is_told_as_it_was_whatever_the_model_knows() -> None:
    found = cost.foretold(Load(1000, engine="gpu"), {"neighbors": 7.0})
    assert found["neighbors"] == 7.0
    assert "languages" not in found  # they are told apart while the search goes on
    none = cost.foretold(Load(1000, resamples=0, audited=0), {})
    assert not {"audit", "stability"} & set(none)


def test_a_sample_of_every_pair_tells_what_a_search_takes() -> None:
    sample, load = Load(10_000, engine="exact"), Load(30_000, engine="exact", workers=2)
    comparing = RATES | {"neighbors": (1.0, 0.0, 0.0, 0.0, 2e-11, 0.0, 0.0, 0.0)}
    as_many = 1e-3 * 30_000 / 2
    assert cost.searching(load, sample, 1e-3, comparing) == pytest.approx(3 * as_many)
    ranking = RATES | {"neighbors": (1.0, 0.0, 0.0, 0.0, 0.0, 4e-9, 0.0, 0.0)}
    assert cost.searching(load, sample, 1e-3, ranking) == pytest.approx(as_many)
    assert as_many < cost.searching(load, sample, 1e-3) < 3 * as_many
    server = Load(30_000, engine="graph")
    assert cost.searching(server, server, 1e-3) == pytest.approx(30.0)
    by_index = cost.searching(Load(10**6, engine="local"), sample, 1e-3)
    assert by_index < cost.searching(Load(10**6, engine="exact"), sample, 1e-3) / 5


def test_languages_are_told_beside_a_search_and_slow_it_down_here_alone() -> None:
    rates = RATES | {"languages": (2.0, 0.0)}
    here, server = Load(1000, engine="exact"), Load(1000, engine="graph")
    assert [cost.disturbed(here, alone, rates) for alone in (0.5, 2.0, 10.0)] == [0.75, 3.0, 11.0]
    assert cost.disturbed(server, 10.0, rates) == 10.0


def test_calibrating_with_nothing_changes_nothing() -> None:
    assert cost.calibrated(RATES, Load(1000), {}) == RATES


def test_only_smoothing_pays_for_coordinates() -> None:
    assert cost.terms("cluster", Load(1000, walks=0))[2:] == (0, 0)
    assert min(cost.terms("cluster", Load(1000, walks=26))[2:]) > 0


def test_rows_in_clusters_make_the_plan_dear_and_a_mean_the_preparation() -> None:
    few, many = Load(1000, clustered=0.2), Load(1000, clustered=0.8, centred=True)
    assert cost.terms("plan", few)[:2] == cost.terms("plan", many)[:2]
    assert 4 * cost.terms("plan", few)[2] == cost.terms("plan", many)[2]
    assert cost.terms("prepare", few) == (384_000, 0)
    assert cost.terms("prepare", many) == (384_000, 384_000)


def test_how_far_off() -> None:
    measured = {"read": 2.0, "plan": 0.0, "map": 1.0}
    assert cost.within({"read": 3.0, "plan": 1.0}, measured) == {"read": 0.5}


def test_the_steps_of_smoothing_are_those_that_it_takes() -> None:
    assert cost.MOST_STEPS == chebyshev.STEPS
    assert needs.COLUMNS == chebyshev.COLUMNS


@given(load=loads)
def test_rates_have_one_number_for_each_term(load: Load) -> None:
    found = cost.seconds(load, cost.RATES)
    assert set(found) == set(cost.SHAPES)
    assert all(seconds >= 0 for seconds in found.values())


@given(load=loads, more=st.integers(1, 10**9))
def test_more_rows_never_cost_less(load: Load, more: int) -> None:
    before = cost.seconds(load, RATES)
    after = cost.seconds(replace(load, n_rows=load.n_rows + more), RATES)
    assert all(after[s] >= t * (1 - 1e-9) for s, t in before.items())


@given(load=loads)
def test_workers_share_what_they_can_and_nothing_else(load: Load) -> None:
    alone = cost.seconds(replace(load, workers=1), RATES)
    shared = cost.seconds(load, RATES)
    for stage, t in alone.items():
        factor = load.workers if stage in cost.DIVIDED else 1
        assert shared[stage] * factor == pytest.approx(t)
