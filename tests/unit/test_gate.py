"""The gate: what it lets through, what it refuses, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from vdbcluster.config.gate import GateSettings
from vdbcluster.errors import RefusedError
from vdbcluster.model.manifest import ClusterRow, RunManifest
from vdbcluster.pipeline.gate import breaches, check_gate

OPEN = GateSettings(max_moved=1, max_died=1, max_noise_share=1, min_recall=0, min_stability=0)


def manifest(
    *,
    rows: int = 100,
    unlabelled: int = 0,
    moved: int = 0,
    noise: int = 0,
    events: dict[str, int] | None = None,
    audit: dict[str, Any] | None = None,
    stability: tuple[float | None, ...] = (),
) -> RunManifest:
    return RunManifest(
        run_id="r1",
        state="planned",
        collection="docs",
        identity="1",
        selection={},
        settings={},
        versions={},
        facts={
            "plan": {
                "rows": rows,
                "unlabelled_before": unlabelled,
                "moved": moved,
                "noise": noise,
                "changed": moved,
            },
            "identity": {"events": events or {}},
            "audit": audit or {"sample": 0},
        },
        clusters=tuple(ClusterRow(i, 5, 0, 0.5, s, None) for i, s in enumerate(stability)),
    )


@pytest.mark.parametrize(
    ("limit", "held", "beyond", "told"),
    [
        ("max_moved", {"moved": 30}, {"moved": 31}, "31% of the labelled rows would change"),
        ("max_noise_share", {"noise": 30}, {"noise": 31}, "31% of the rows would be noise"),
        (
            "max_died",
            {"events": {"grown": 7, "died": 2, "merged-into": 1, "born": 5}},
            {"events": {"grown": 6, "died": 3, "merged-into": 1, "merged-from": 1}},
            "40% of the clusters would end",
        ),
    ],
)
def test_the_limit_itself_passes_and_what_is_beyond_does_not(
    limit: str, held: dict[str, Any], beyond: dict[str, Any], told: str
) -> None:
    limits = OPEN.model_copy(update={limit: 0.3})
    assert not list(breaches(manifest(**held), limits))
    [line] = breaches(manifest(**beyond), limits)
    assert line.startswith(told)
    assert line.endswith(f"({limit} 0.3)")


def test_shares_are_of_rows_that_had_a_label() -> None:
    limits = OPEN.model_copy(update={"max_moved": 0.3})
    assert not list(breaches(manifest(unlabelled=100, moved=0), limits))
    assert list(breaches(manifest(unlabelled=90, moved=4), limits))


def test_recall_counts_as_low_only_beyond_its_interval() -> None:
    limits = OPEN.model_copy(update={"min_recall": 0.8})
    fair = {"sample": 50, "recall": 0.75, "low": 0.6, "high": 0.85}
    assert not list(breaches(manifest(audit=fair), limits))
    [line] = breaches(manifest(audit=fair | {"high": 0.79}), limits)
    assert line == "recall is 0.75 (min_recall 0.8)"
    assert not list(breaches(manifest(), limits))  # no audit was made


def test_stability_is_the_mean_of_what_was_measured() -> None:
    limits = OPEN.model_copy(update={"min_stability": 0.5})
    assert not list(breaches(manifest(stability=(0.9, 0.2, None)), limits))
    [line] = breaches(manifest(stability=(0.7, 0.2, None)), limits)
    assert line == "mean stability is 0.45 (min_stability 0.5)"
    assert not list(breaches(manifest(stability=(None,)), limits))


def test_the_defaults_let_a_first_run_and_an_empty_one_pass() -> None:
    check_gate(manifest(unlabelled=100, noise=100, events={"born": 9}), GateSettings())
    check_gate(manifest(rows=0), GateSettings())


def test_all_reasons_are_told_with_what_to_do() -> None:
    with pytest.raises(RefusedError) as caught:
        check_gate(manifest(moved=80, noise=95), GateSettings(max_noise_share=0.9))
    text = str(caught.value)
    assert "80% of the labelled" in text
    assert "95% of the rows" in text
    assert "vdbcluster apply r1 --yes" in text
    assert caught.value.exit_code == 4
