"""``scripts/bench`` measures what it says: vectors by their rule, processes bounded, sums right."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scripts._bench import report, vectors
from scripts._bench.process import BENCH, run
from tests.data import directory

PRODUCT = {
    "total": 10.0,
    "cpu": 4.0,
    "peak_mb": 900.0,
    "seconds": {"other": 1.0, "read": 1.0, "neighbors": 6.0, "audit": 0.1, "cluster": 0.9}
    | {"plan": 0.0, "write": 1.0},
}


@pytest.fixture(params=["data", "synthetic"])
def base(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    if request.param == "synthetic":
        monkeypatch.setenv("VDBCLUSTER_TEST_DATA", str(tmp_path))
    elif directory() is None:
        pytest.skip("the embeddings are absent")
    return str(request.param)


def test_vectors_follow_their_rule(base: str) -> None:
    few = vectors.vectors(300, seed=3)
    assert (vectors.source() == "synthetic mixture") == (base == "synthetic")
    assert few.shape == (300, vectors.DIM)
    assert few.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(few, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(few, vectors.vectors(300, seed=3))
    assert not np.array_equal(few, vectors.vectors(300, seed=4))


def test_rows_beyond_the_base_are_near_copies_of_it() -> None:
    many = vectors.vectors(40_000, seed=0)
    rows = vectors.SYNTHETIC_ROWS  # as many as the real base has
    cosines = np.einsum("ij,ij->i", many[: 40_000 - rows], many[rows:])
    # Two noisy copies of one vector: 1 / (1 + noise^2).
    assert abs(np.median(cosines) - 0.8) < 0.02
    np.testing.assert_allclose(np.linalg.norm(many, axis=1), 1, atol=1e-5)


def test_growth_is_the_exponent() -> None:
    assert report.fitted({n: 3e-6 * n**1.5 for n in (2000, 5000, 50_000)}) == pytest.approx(1.5)
    assert report.fitted({2000: 1.0}) is None


def test_targets_are_told_as_they_are() -> None:
    fast = {5000: {"product": PRODUCT, "dense": {"total": 250.0}}}
    slow = {5000: {"product": PRODUCT, "dense": {"total": 150.0}}}
    big = {50_000: {"product": PRODUCT}, 100_000: {"product": PRODUCT | {"peak_mb": 1001.0}}}
    assert report.targets({"lite": fast}) == ["lite: dense / product at 5k >= 20: 25.0, reached"]
    assert report.targets({"lite": slow}) == ["lite: dense / product at 5k >= 20: 15.0, MISSED"]
    assert report.targets({"server": big}) == [
        "server: outside at 50k <= 25 %: 40.0%, MISSED",
        "server: peak MB at 100k < 1000: 1001.0, MISSED",
    ]


def test_table_shows_ratios_and_what_was_stopped() -> None:
    stopped = {"total": 600.0, "note": "stopped after 600 s"}
    cases = {"product": PRODUCT, "floor": {"seconds": 5.0}, "dense": stopped}
    head, line, note = report.table({10_000: cases}).splitlines()
    values = dict(zip(head.split(), line.split(), strict=True))
    assert values["outside"] == "40.0%"
    assert values["p/b"] == "2.00"
    assert values["dense"] == ">600.0"
    assert values["a/p"] == ">60.0"
    assert note == "10,000 dense: stopped after 600 s"


def test_a_process_is_measured_and_bounded(tmp_path: Path) -> None:
    greedy = "import time; x = b'x' * (200 << 20); del x; time.sleep(0.3); print('{}')"
    done = run([sys.executable, "-c", greedy], 60, tmp_path)
    assert done.code == 0
    assert 200 < done.peak_mb < 400
    assert done.last_line() == {}
    endless = run([sys.executable, "-c", "while True: pass"], 0.5, tmp_path)
    assert endless.code is None
    assert 0.5 <= endless.wall < 30


@pytest.mark.slow
def test_the_script_from_end_to_end(tmp_path: Path) -> None:
    kept = tmp_path / "bench.json"
    argv = [sys.executable, str(BENCH), "--sizes", "400", "--backend", "lite"]
    argv += [
        "--only",
        "product,dense,floor",
        "--neighbors",
        "30",
        "--no-warm-up",
        "--json",
        str(kept),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    cases = json.loads(kept.read_text())["results"]["lite"]["400"]
    assert not any("note" in case for case in cases.values()), cases
    assert cases["product"]["facts"]["write"]["written"] == 400
    assert cases["product"]["total"] >= cases["product"]["seconds"]["neighbors"] > 0
    assert cases["dense"]["clusters"] == cases["product"]["facts"]["clustering"]["clusters"]
    assert "a/p" in done.stdout
