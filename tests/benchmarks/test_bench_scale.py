"""``scripts/bench_scale`` measures what it says: rows by their rule, tables that add up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main

from scripts._bench import costs, grown, scale
from scripts._bench.vectors import unit
from vdbcluster.cli.app import app as cli
from vdbcluster.pipeline import cost

BENCH = Path(__file__).parents[2] / "scripts" / "bench_scale"
RATES = {
    "read": (0.1, 0.0, 1e-8, 0.0, 0.0),
    "neighbors": (0.5, 1e-4, 1e-12, 0.0, 0.0, 0.0, 0.0, 0.0),
    "write": (1.0, 1e-5, 0.0, 0.0),
}


@pytest.fixture(scope="module")
def root() -> grown.Base:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((20, 384))
    points = centres[rng.integers(0, 20, 600)] + 0.8 * rng.standard_normal((600, 384))
    return grown.rooted(unit(points.astype(np.float32)))


def test_a_smaller_set_is_the_beginning_of_a_larger_one(root: grown.Base) -> None:
    whole = grown.rows(0, 5000, 7, root)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(whole[:1234], grown.rows(0, 1234, 7, root))
    np.testing.assert_array_equal(whole[1999:4001], grown.rows(1999, 4001, 7, root))
    assert not np.array_equal(whole, grown.rows(0, 5000, 8, root))


def test_the_first_rows_are_the_base_and_later_ones_lie_near_their_origin(root: grown.Base) -> None:
    rows = grown.rows(0, 6000, 0, root)
    m = len(root.points)
    np.testing.assert_array_equal(rows[:m], root.points)
    later = np.arange(m, 6000)
    own = np.einsum("ij,ij->i", rows[later], root.points[later % m])
    other = np.einsum("ij,ij->i", rows[later], root.points[(later + 7) % m])
    assert np.median(own) > 0.7
    assert (own > other).mean() > 0.95
    assert len(np.unique(rows, axis=0)) == 6000


def test_a_wide_neighbourhood_makes_rows_go_far(root: grown.Base) -> None:
    rows = grown.rows(0, 12_000, 0, root)
    m = len(root.points)
    far = np.linalg.norm(rows[m:] - root.points[np.arange(m, 12_000) % m], axis=1)
    by_origin = np.bincount(np.arange(m, 12_000) % m, far, m) / np.bincount(
        np.arange(m, 12_000) % m, minlength=m
    )
    assert np.corrcoef(by_origin, root.width)[0, 1] > 0.3


def result(n: int, method: str = "hdbscan", **seconds: float) -> scale.Result:
    told = {
        "n": n,
        "method": method,
        "cpu": 1.0,
        "peak_mb": 900.0,
        "facts": {
            "neighbors": {"engine": "milvus SCANN, effort medium", "n_neighbors": 50},
            "memory": {"peak_mb": 700, "files_mb": 80},
        },
    }
    found = seconds or cost.seconds(cost.Load(n), RATES)
    return told | {"seconds": found, "total": sum(found.values())}


def test_rates_from_small_runs_foretell_the_large_one() -> None:
    runs = [result(n) for n in (20_000, 50_000, 100_000, 200_000, 1_000_000)]
    told = [table for table, _ in scale.prediction(runs, 200_000)]
    assert [table.title.split(" rows")[0] for table in told][-1] == "1,000,000"
    assert all(line[3] in ("+0%", "-0%") for line in told[-1].lines)
    slow = {stage: 2 * told for stage, told in runs[-1]["seconds"].items()}
    busy = [*runs[:-1], result(1_000_000, **slow)]  # twice as slow from the first stage on
    doubled = scale.prediction(busy, 200_000)[-1][0]
    assert [(line[3], line[5]) for line in doubled.lines if line[0] == "write"] == [("-50%", "+0%")]
    broken = [*runs[:1], result(50_000) | {"note": "failed"}]
    assert scale.prediction(broken, 200_000) == []


def test_engines_are_told_apart() -> None:
    for engine, kind in {
        "milvus SCANN, effort medium": "cells",
        "milvus HNSW, effort low": "graph",
        "faiss, 4-bit codes in 224 cells": "local",
        "faiss and BLAS, every pair, exact": "exact",
    }.items():
        run = result(1000)
        run["facts"]["neighbors"]["engine"] = engine
        assert scale.load_of(run).engine == kind


def test_what_a_run_was_asked_for_is_in_its_load() -> None:
    assert scale.load_of(result(20_000)).walks == 0
    assert scale.load_of(result(20_000, "auto")).walks == 64
    told = result(1000) | {"settings": {"cluster": {"resamples": 1}, "neighbors": {"audit": 0}}}
    assert (scale.load_of(told).resamples, scale.load_of(told).audited) == (1, 0)


def test_rates_of_all_runs_are_told_for_the_model() -> None:
    table = scale.rates_of([result(n) for n in (20_000, 50_000, 100_000, 200_000)])
    assert table is not None
    assert dict(table.lines)["neighbors"].startswith("0.5, 0.0001, 1e-12")
    assert scale.rates_of([result(50_000) | {"note": "failed"}]) is None


def test_stages_and_what_went_wrong_are_in_the_table() -> None:
    table = scale.by_stage([result(20_000), result(50_000, read=1.0) | {"note": "stopped"}])
    assert table.head[2:5] == ("read", "neighbors", "write")
    assert table.lines[1][2:5] == ("1.0", "-", "-")
    assert table.lines[0][-3:] == ("700", "80", "900")
    assert table.notes == ("50,000 hdbscan: stopped",)


def test_ratios_are_to_the_first_that_ended() -> None:
    common = {"n": 1000, "wall": 20.0, "cpu": 10.0, "vectors_mb": 100}
    runs = [
        common | {"who": "ours", "seconds": 10.0, "peak_mb": 300.0, "clusters": 5, "noise": 0.1},
        common
        | {
            "who": "EVoC",
            "seconds": 25.0,
            "cpu": 30.0,
            "peak_mb": 500.0,
            "clusters": 7,
            "noise": 0.2,
        },
        common | {"who": "fast_hdbscan", "peak_mb": 400.0, "note": "stopped after 20 s"},
    ]
    lines = scale.of_peers(runs).lines
    assert [line[-3:] for line in lines] == [
        ("1.00", "1.00", "1.00"),
        ("2.50", "3.00", "2.00"),
        ("-", "-", "-"),
    ]
    assert lines[2][2] == "> 20"


def test_a_clusterer_in_a_process_of_its_own(tmp_path: Path, root: grown.Base) -> None:
    np.save(tmp_path / "vectors.npy", grown.rows(0, 4000, 0, root))
    found = scale.peer(sys.executable, "vdbcluster hdbscan", tmp_path / "vectors.npy", 4000, 200)
    assert "note" not in found, found
    assert found["clusters"] > 1
    assert found["peak_mb"] > found["vectors_mb"]


def test_unknown_parts_are_refused(tmp_path: Path) -> None:
    argv = [sys.executable, str(BENCH), "--data", str(tmp_path), "--only", "runs"]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "unknown: runs" in ended.stderr


def test_what_was_measured_is_shown_again(tmp_path: Path) -> None:
    held = {"runs": [result(20_000), result(50_000), result(200_000)], "peers": []}
    (tmp_path / "runs.json").write_text(json.dumps(held))
    argv = [sys.executable, str(BENCH), "--data", str(tmp_path), "--only", "fit"]
    argv += ["--json", str(tmp_path / "runs.json"), "--fit-rows", "50000"]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "200,000 rows, hdbscan: measured and predicted seconds" in ended.stdout


def test_numbers_of_rows_are_read_as_people_write_them() -> None:
    assert [costs.count(text) for text in ("10k", "1.5M", "1B", "77")] == [
        10_000,
        1_500_000,
        1_000_000_000,
        77,
    ]
    with pytest.raises(ValueError, match="at most"):
        costs.setting_for(2**31)


def test_times_beyond_what_was_measured_are_marked() -> None:
    runs = [result(n, "auto") for n in (20_000, 200_000)]
    lines = costs.costs([20_000, 1_500_000, 9_000_000], costs.Asked(), runs).lines
    times = [line[5] for line in lines]
    assert times[0] == "4 s"
    assert times[1].endswith("?")
    assert times[2] == "-"  # nobody ran hdbscan
    assert costs.costs([5], costs.Asked(), []).lines[0][5] == "-"


def test_the_readme_says_what_the_model_says() -> None:
    """Memory and disk within a tenth: what they are made of is measured now and then."""
    lines = (BENCH.parents[1] / "README.md").read_text().splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    told = {cells[0]: cells for cells in table if len(cells) == 6}
    for n in (10_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000):
        _, memory, disk, milvus, workers, setting = told[f"{n:,}"]
        wanted = costs.setting_for(n)
        assert setting == (f"`{wanted.options}`" if wanted.options else "as it is")
        assert workers == str(wanted.workers)
        assert int(milvus.split()[0]) == costs.milvus_nodes(n, costs.Asked())
        sizes = costs.memory_gb(n, costs.Asked(), wanted), costs.disk_gb(n, costs.Asked(), wanted)
        for spoken, size in zip((memory, disk), sizes, strict=True):
            amount, unit = spoken.split()
            gb = float(amount) * {"MB": 1e-3, "GB": 1, "TB": 1e3}[unit]
            assert gb == pytest.approx(size, rel=0.1, abs=0.06), (n, spoken)


def test_every_setting_of_the_table_is_an_option() -> None:
    for setting in costs.SETTINGS:
        words = setting.options.replace("ADDRESS", "tcp://here:8786").replace("URL", "s3://b/w")
        app: Any = typer.main.get_command(cli)
        context = app.make_context("vdbcluster", ["run"])
        _, command, _ = app.resolve_command(context, ["run"])
        command.make_context("run", words.split(), parent=context)


def test_a_setting_holds_what_it_is_for() -> None:
    for setting in costs.SETTINGS:
        asked = costs.memory_gb(setting.rows, costs.Asked(), setting)
        assert not setting.limit_gb or asked <= setting.limit_gb, setting


def test_of_several_runs_the_middle_one_counts_and_a_failure_hides_nowhere() -> None:
    told = [
        {"n": 9, "total": total, "seconds": {"read": read, "write": 1.0}, "facts": total}
        for total, read in ((7.0, 1.0), (5.0, 3.0), (9.0, 2.0))
    ]
    found = scale.middle(told)
    assert (found["total"], found["facts"], found["repeats"]) == (7.0, 7.0, 3)
    assert found["seconds"] == {"read": 2.0, "write": 1.0}
    assert scale.middle([*told, {"n": 9, "note": "failed"}]) == {"n": 9, "note": "failed"}
