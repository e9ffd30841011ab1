"""What a person reads at the end of a run."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from vdbcluster.cli.render import print_run
from vdbcluster.model.manifest import ClusterRow, RunManifest
from vdbcluster.model.params import Recipe

READ = {"counted_after": 9, "unusable": 0, "without_vector": 0}
WRITE = {
    "written": 9,
    "unchanged": 0,
    "vanished": 0,
    "skipped": 0,
    "failed": 0,
    "mismatched": 0,
    "unlabelled": 0,
    "messages": (),
}
MANIFEST = RunManifest(
    run_id="r",
    state="written",
    collection="docs",
    identity="1",
    selection={"server": "docs.db", "filter": ""},
    settings={"write": {"label_prefix": "cluster_"}},
    versions={},
    facts={
        "read": READ,
        "neighbors": {"n_neighbors": 5, "engine": "faiss", "metric": "chord"},
        "audit": {"sample": 9, "recall": 1.0, "low": 0.9, "high": 1.0},
        "clustering": {
            "clusters": 1,
            "rows": 9,
            "noise": 0,
            "soft": 3,
            "recipe": asdict(Recipe(smooth="spectral")),
        },
        "plan": {"changed": 9, "moved": 0},
        "way": {"name": "lite-merge", "reason": "it merges", "target": "docs"},
        "write": WRITE,
    },
    clusters=(
        ClusterRow(0, 9, 3, 0.5, 0.8, "a text that is much longer than the terminal is wide " * 3),
    ),
)


def shown(capsys: pytest.CaptureFixture[str], manifest: RunManifest) -> list[str]:
    print_run(manifest)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_table_keeps_its_ids(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = shown(capsys, MANIFEST)
    header = next(line for line in lines if "stability" in line)
    assert header.split()[:4] == ["id", "size", "soft", "stability"]
    row = lines[lines.index(header) + 1]
    assert row.split()[:4] == ["0", "9", "33%", "0.80"]


def test_the_last_line_can_be_used_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, MANIFEST)[-1] == "Filter by it in docs: cluster_id == 0"
    chosen = replace(MANIFEST, selection={"server": "x", "filter": "year > 2000"})
    assert shown(capsys, chosen)[-1].endswith("cluster_id == 0 and (year > 2000)")
    nothing = replace(MANIFEST, clusters=())
    assert "--min-cluster-size" in shown(capsys, nothing)[-1]


def test_rows_left_out_and_rows_added_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    facts = {
        **MANIFEST.facts,
        "read": READ | {"unusable": 3},
        "write": WRITE | {"unlabelled": 2},
    }
    lines = shown(capsys, replace(MANIFEST, facts=facts))
    assert any(line.startswith("left out") and "3 rows" in line for line in lines)
    assert any(line.startswith("new") and "2 rows" in line for line in lines)


def test_how_fast_labels_were_sent_is_told_where_it_took_a_while(
    capsys: pytest.CaptureFixture[str],
) -> None:
    slow = WRITE | {"written": 5000, "seconds": 100.0}
    told = [
        [line for line in shown(capsys, with_write(write)) if line.startswith("speed")]
        for write in (WRITE, WRITE | {"seconds": 0.2, "paused": 0.0}, slow, slow | {"paused": 80.0})
    ]
    assert told[:2] == [[], []]  # one of an earlier version says nothing of it
    assert told[2][0].split(maxsplit=1)[1] == "50 rows a second, 100 s"
    assert told[3][0].endswith("50 rows a second, 100 s; paused 80 s for readers")


def with_write(write: dict[str, Any]) -> RunManifest:
    return replace(MANIFEST, facts={**MANIFEST.facts, "write": write})
