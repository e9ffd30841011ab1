"""``scripts/bench_quality`` tells what was measured, and calls no target reached that is not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts._bench import quality, quality_variants
from scripts._bench.quality_data import LabelledSet, load, present, size
from scripts._bench.quality_methods import DEFAULT, GROUPS, METHODS
from scripts._bench.quality_store import Cell, Result, Results, Store
from scripts._bench.quality_tables import tables
from scripts._bench.quality_targets import verdicts
from scripts._bench.quality_variants import ROBUST
from scripts._bench.table import Table, as_markdown, as_text

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_quality"
SETS = ("one", "two", "three", "four")
SHOWN = [
    *(LabelledSet(name, name, "m") for name in SETS),
    LabelledSet("other", "o", "m", main=False),
]
SCORES = ("ami", "ari", "homogeneity", "homogeneity_clustered")


def result(
    ami: float, *, noise: float = 0.0, clusters: int = 10, cpu: float = 1.0
) -> dict[str, Any]:
    sizes = {"rows": 100, "classes": 10, "clusters": clusters, "largest": 0.2}
    used = {"cpu": cpu, "wall": cpu, "memory": 1.0}
    return {**dict.fromkeys(SCORES, ami), "noise": noise, "raw": None, **sizes, **used}


def our_result(ami: float, **others: Any) -> dict[str, Any]:
    raw = {**dict.fromkeys(SCORES, ami - 0.1), "noise": 0.3}
    recipe = {"method": "hdbscan", "smooth": "spectral", "min_cluster_size": 20}
    return result(ami, **others) | {"raw": raw, "recipe": recipe}


def good() -> dict[tuple[str, str, str], Result]:
    """All targets are reached, if barely: one set in four is off in clusters, for instance."""
    found: dict[tuple[str, str, str], Result] = {}
    for name in SETS:
        found[name, DEFAULT, ""] = our_result(0.6, noise=0.1, clusters=15 if name != "one" else 16)
        found[name, "EVoC", ""] = result(0.59 if name != "two" else 0.62, cpu=1.0)
        for peer in ("BERTopic recipe", "hdbscan", "fast_hdbscan", "Leiden SNN15"):
            found[name, peer, ""] = result(0.3, cpu=0.1)
        found[name, "k-means, true k", ""] = result(0.6)
        for variant in ROBUST:
            found[name, DEFAULT, variant] = our_result(0.581 if name != "two" else 0.6)
    return found


def judged(found: dict[tuple[str, str, str], Result]) -> dict[str, str]:
    return {target: verdict for target, verdict, _ in verdicts(Results(found), SETS).lines}


def changed(method: str, variant: str, name: str, **values: Any) -> dict[str, str]:
    found = good()
    found[name, method, variant] = {**found[name, method, variant], **values}
    return judged(found)


def missed(verdicts_: dict[str, str]) -> list[str]:
    return [target for target, verdict in verdicts_.items() if verdict == "NOT reached"]


def test_all_targets_can_be_reached() -> None:
    assert set(judged(good()).values()) == {"reached"}
    assert len(judged(good())) == 8 + len(ROBUST)


@pytest.mark.parametrize(
    ("method", "variant", "values", "target"),
    [
        (DEFAULT, "", {"recipe": {"method": "leiden", "smooth": "none"}}, "it is HDBSCAN"),
        ("k-means, true k", "", {"ami": 0.604}, "k-means told k"),
        ("EVoC", "", {"ami": 0.631}, "best peer at its defaults on each set"),
        ("BERTopic recipe", "", {"ami": 0.64}, "best peer at its defaults on each set"),
        (DEFAULT, "", {"noise": 0.11}, "noise, on the mean"),
        (DEFAULT, "", {"homogeneity": 0.1}, "mean homogeneity"),
        (DEFAULT, "", {"clusters": 6}, "clusters within"),
        (DEFAULT, "", {"cpu": 1.1}, "CPU time"),
        (DEFAULT, ROBUST[0], {"ami": 0.54}, "x0.8"),
        (DEFAULT, ROBUST[-1], {"ami": 0.54}, "rows dropped 2"),
    ],
)
def test_each_target_can_be_missed(
    method: str, variant: str, values: dict[str, Any], target: str
) -> None:
    names = missed(changed(method, variant, "three", **values))
    assert any(target in name for name in names), names


def test_a_better_peer_on_the_mean_is_told() -> None:
    found = good()
    for name in SETS:
        found[name, "EVoC", ""] = result(0.61)
    assert missed(judged(found)) == ["mean AMI above every peer at its defaults"]


def test_what_is_missing_is_not_called_reached() -> None:
    found = good()
    del found["two", "k-means, true k", ""]
    found["two", "EVoC", ""] = {"note": "> 8 min"}
    del found["two", DEFAULT, ROBUST[1]]
    told = {v for v in verdicts(Results(found), SETS).lines if v[1] != "reached"}
    assert {(target, verdict) for target, verdict, _ in told} == {
        ("mean AMI at least that of k-means told k", "not measured"),
        (f"mean AMI loses at most 0.02 with {ROBUST[1]}", "not measured"),
    }
    del found["two", "EVoC", ""]
    told = {v for v in verdicts(Results(found), SETS).lines if v[1] != "reached"}
    assert {target for target, _, _ in told} >= {
        "mean AMI above every peer at its defaults",
        "within 0.03 of the best peer at its defaults on each set",
    }
    del found["two", DEFAULT, ""]
    assert set(judged(found).values()) == {"not measured"}


def texts(found: dict[tuple[str, str, str], Result], code: str = "now") -> str:
    return "\n\n".join(as_text(table) for table in tables(Results(found), SHOWN, code))


def test_tables_show_everything_that_is_stored() -> None:
    found = good() | {
        ("two", "hdbscan", ""): {"note": "> 8 min"},
        ("one", "hdbscan", ""): {"note": "failed: MemoryError"},
        ("other", DEFAULT, ""): our_result(0.77) | {"code": "before"},
        **{(name, DEFAULT, "n_neighbors=100"): our_result(0.55) for name in SETS},
        **{(name, DEFAULT, "n_neighbors=30"): our_result(0.65) for name in SETS},
    }
    told = texts(found)
    assert re.search(r"^hdbscan +failed +> 8 min +0.300 +0.300 +-$", told, re.MULTILINE)
    assert re.search(r"^hdbscan +2/4 sets", told, re.MULTILINE)
    assert "failed: MemoryError" in told
    assert "1 cells of other code than this" in told
    assert re.search(r"^truth +10 +10 +10 +10$", told, re.MULTILINE)
    assert re.search(r"^other +100 +10 +10 +20% +0% \(30%\) +0.770 +0.670", told, re.MULTILINE)
    assert re.search(rf"^{ROBUST[0]} +\+0.019 +-?\+?0.000 .*\+0.014 +\+0.019$", told, re.MULTILINE)
    against = told[told.index("The default against n_neighbors") :].splitlines()
    assert [line.split()[0] for line in against[2:5]] == [DEFAULT, "30", "100"]
    assert "0.650 / 10" in against[3]


def test_means_are_of_methods_that_have_all_sets() -> None:
    head, *lines = tables(Results(good()), SHOWN, "now")[0].lines
    assert head[:3] == (DEFAULT, "0.600", "0.600")
    assert head[6:10] == ("0.500", "0.500", "0.500", "30.0%")
    evoc = next(line for line in lines if line[0] == "EVoC")
    assert float(evoc[1]) == pytest.approx((3 * 0.59 + 0.62) / 4, abs=1e-3)
    assert evoc[6] == "-"


def test_nothing_measured_is_no_table() -> None:
    assert tables(Results({}), SHOWN, "now") == []


def test_text_and_markdown_hold_the_same_cells() -> None:
    table = Table(
        "T", ("", "a", "prose"), (("x|y", "1", "so"), ("z", "22", "and so on")), wide=True
    )
    assert as_text(table).splitlines()[1:] == [
        "      a  prose",
        "x|y   1  so",
        "z    22  and so on",
    ]
    lines = as_markdown(table).splitlines()
    assert lines[2:] == [
        "|  | a | prose |",
        "| --- | ---: | --- |",
        r"| x\|y | 1 | so |",
        "| z | 22 | and so on |",
    ]


def test_the_store_goes_on_and_the_later_line_holds(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    cell, whole = Cell("one", DEFAULT, 50, False), Cell("one", DEFAULT, 100, False)
    Store(path).put(cell, {"ami": 0.1})
    Store(path).put(whole, {"ami": 0.2})
    Store(path).put(cell, {"ami": 0.3})
    assert len(path.read_text().splitlines()) == 3
    assert Store(path).results({"one": 50}, False).get("one", DEFAULT) == {"ami": 0.3}
    assert Store(path).results({"one": 100}, False).get("one", DEFAULT) == {"ami": 0.2}
    assert Store(path).results({"one": 100}, True).get("one", DEFAULT) is None
    assert Store(path).get(Cell("two", DEFAULT, 50, False)) is None


def test_variants_of_rows() -> None:
    n = 1000
    assert np.array_equal(quality_variants.rows("", n), np.arange(n))
    assert np.array_equal(quality_variants.rows("n_neighbors=5", n), np.arange(n))
    first, second = (quality_variants.rows(f"rows shuffled {seed}", n) for seed in (1, 2))
    assert np.array_equal(np.sort(first), np.arange(n))
    assert not np.array_equal(first, second)
    kept = quality_variants.rows("rows dropped 1", n)
    assert len(np.unique(kept)) == 900
    assert (np.diff(kept) > 0).all()
    assert not np.array_equal(kept, quality_variants.rows("rows dropped 2", n))


def test_variants_of_settings() -> None:
    plain = {"recipe": {"min_cluster_size": 24}}
    found = quality_variants.sections("min_cluster_size x1.2", plain)
    assert found == {"cluster": {"min_cluster_size": 29}}
    for missing in (None, {"note": "> 8 min"}):
        with pytest.raises(ValueError, match="plain result first"):
            quality_variants.sections("min_cluster_size x1.2", missing)
    names = quality_variants.against("n_neighbors", "10, 20")
    assert [quality_variants.sections(name, None) for name in names] == [
        {"neighbors": {"n_neighbors": "10"}},
        {"neighbors": {"n_neighbors": "20"}},
    ]
    with pytest.raises(ValueError, match="no setting 'k'"):
        quality_variants.against("k", "10")
    assert quality_variants.sections("rows dropped 1", None) == {}
    merged = quality_variants.merged({"cluster": {"a": 1, "b": 2}}, {"cluster": {"b": 3}})
    assert merged == {"cluster": {"a": 1, "b": 3}}


def test_the_default_says_nothing() -> None:
    assert METHODS[DEFAULT].sections == {}
    assert all((METHODS[name].sections is None) == (name in GROUPS["peers"]) for name in METHODS)


def test_scores_leave_out_what_has_no_class() -> None:
    classes = np.array([0, 0, 1, 1, -1, -1])
    told = quality.scores(np.array([0, 0, 1, 1, -1, 1]), classes)
    assert told["ami"] == pytest.approx(1)
    assert (told["clusters"], told["largest"]) == (2, 0.5)
    assert told["noise"] == pytest.approx(1 / 6)
    assert quality.scores(np.array([0, -1, 1, 1, 0, 0]), classes)["ami"] < 0.9
    assert "ami" not in quality.scores(np.zeros(3), np.full(3, -1))


@pytest.mark.skipif(not present(), reason="the embeddings are absent")
@pytest.mark.parametrize("which", present(), ids=lambda s: s.name)
def test_sets_are_as_large_as_they_say(which: LabelledSet) -> None:
    vectors, classes = load(which, 100)
    assert len(vectors) == len(classes) == size(which, 100) == 100
    assert size(which) >= 100
    assert (classes >= 0).any() == bool(which.label)


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(SCRIPT), *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=280)


@pytest.mark.skipif(not present(), reason="the embeddings are absent")
def test_the_script_measures_once_and_tells(tmp_path: Path) -> None:
    store, page = tmp_path / "kept.jsonl", tmp_path / "page.md"
    words = ["--sets", "bbc", "--rows", "300", "--store", str(store), "--markdown", str(page)]
    told = "k-means, true k"
    done = bench(*words, "--only", told, "--against", "n_neighbors", "20")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in store.read_text().splitlines()]
    assert [line["cell"]["method"] for line in lines] == [told, DEFAULT]
    assert all(0 < line["result"]["ami"] <= 1 for line in lines), lines
    assert lines[1]["result"]["recipe"]["n_neighbors"] == 20
    assert f"| {told} | 0." in page.read_text()
    again = bench(*words, "--only", told, "hdbscan", "--again", "hdbscan", "--limit", "0")
    later = [json.loads(line)["cell"]["method"] for line in store.read_text().splitlines()[2:]]
    assert later == ["hdbscan"]
    assert re.search(r"^hdbscan +> 0 min", again.stdout, re.MULTILINE), again.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--sets", "nowhere"], "there is no set 'nowhere'"),
        (["--only", "magic"], "there is no method 'magic'"),
        (["--against", "k", "3"], "--against: there is no setting 'k'"),
    ],
)
def test_what_is_unknown_is_said(words: list[str], told: str, tmp_path: Path) -> None:
    done = bench("--store", str(tmp_path / "none.jsonl"), *words)
    assert done.returncode == 1
    assert told in done.stderr
