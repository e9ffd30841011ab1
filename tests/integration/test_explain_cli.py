"""``vdbcluster explain`` as a person meets it: the words of each cluster, where they are kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient
from typer.testing import CliRunner

from tests.backends import Backend
from tests.snapshot import snapshot
from tests.unit.outcomes import MANIFEST
from vdbcluster.adapters.memory_catalogue import MemoryCatalogue
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.cli.app import app
from vdbcluster.config.settings import RunSettings, Settings
from vdbcluster.errors import VdbclusterError
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry
from vdbcluster.model.manifest import ClusterRow
from vdbcluster.pipeline.explain_record import tells_of
from vdbcluster.wiring.explaining import named_field

WORDS = (
    ("parcel", "courier", "delivery", "warehouse"),
    ("guitar", "concert", "album", "drummer"),
    ("映画", "監督", "俳優", "上映"),
)
EACH, DIM = 60, 16
Command = Callable[..., Any]


def text_of(cluster: int, row: int) -> str:
    own = WORDS[cluster]
    if cluster == 2:
        return f"{own[row % 4]}と{own[(row + 1) % 4]}の話をする"
    return f"The {own[row % 4]} and a {own[(row + 1) % 4]} were of it, number {row}"


def fill(client: MilvusClient, name: str) -> None:
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vec", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("headline", DataType.VARCHAR, max_length=300)
    index = client.prepare_index_params()
    index.add_index("vec", index_type="FLAT", metric_type="COSINE")
    client.create_collection(name, schema=schema, index_params=index)
    rng = np.random.default_rng(0)
    centers = rng.normal(0, 5, (len(WORDS), DIM))
    rows = [
        {
            "id": 100 * cluster + row,
            "vec": (centers[cluster] + rng.normal(0, 0.5, DIM)).astype(np.float32).tolist(),
            "headline": text_of(cluster, row),
        }
        for cluster in range(len(WORDS))
        for row in range(EACH)
    ]
    client.insert(name, rows)
    client.flush(name)
    client.load_collection(name)


@pytest.fixture
def command(backend: Backend, collection_name: str, tmp_path: Path) -> Command:
    def run(*arguments: str) -> Any:
        named = arguments[0] not in ("explain", "rollback")
        where = ["--uri", backend.uri, *(["-c", collection_name] if named else [])]
        bare = arguments[0] == "dense" or arguments[:2] in (
            ("clusters", "list"),
            ("clusters", "rename"),
        )
        runs = [] if bare else ["--runs-dir", str(tmp_path / "runs")]
        done = CliRunner().invoke(app, [*arguments, *where, *runs])
        if isinstance(done.exception, VdbclusterError):
            raise done.exception
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    return run


@pytest.fixture
def labelled(client: MilvusClient, collection_name: str, command: Command) -> dict[str, Any]:
    fill(client, collection_name)
    return command("run", "--min-cluster-size", "10", "--text-field", "headline", "--json", "--yes")


@pytest.mark.slow_on_server
def test_each_cluster_gets_the_words_of_its_own_texts_and_no_row_changes(
    labelled: dict[str, Any], client: MilvusClient, collection_name: str, command: Command
) -> None:
    pytest.importorskip("sudachipy")
    command("clusters", "rename", "1", "by hand")
    client.load_collection(collection_name)
    before = snapshot(client, collection_name, exclude=())

    told = command("explain", "last", "--text-field", "headline", "--n-keywords", "4", "--json")

    assert snapshot(client, collection_name, exclude=()) == before
    found = {card["id"]: {one["term"] for one in card["keywords"]} for card in told["cards"]}
    entries = {e["id"]: e for e in command("clusters", "list", "--json")["clusters"]}
    assert {i: set(entry["keywords"]) for i, entry in entries.items()} == found
    assert {i: set(WORDS[e["medoid_key"] // 100]) for i, e in entries.items()} == found
    assert entries[1]["name"] == "by hand"
    assert told["run_id"] == labelled["run_id"]

    card = command("clusters", "show", "1", "--json")
    assert card["name"] == "by hand"
    assert card["explained_by"] == labelled["run_id"]
    assert card["card"] == next(one for one in told["cards"] if one["id"] == 1)
    every = command("clusters", "show")
    for one in told["cards"]:
        assert one["representatives"]["medoid"]["text"] in every
    assert every.count("explained ") == len(WORDS)

    shown = command("explain", "last", "--text-field", "headline", "--stop-word", "courier")
    assert "courier" not in shown
    assert "warehouse" in shown
    command("run", "--min-cluster-size", "10", "--min-samples", "3", "--yes")
    kept = {e["id"]: e for e in command("clusters", "list", "--json")["clusters"]}
    assert "courier" not in str(kept)
    assert all(entry["keywords"] for entry in kept.values())


@pytest.mark.parametrize("backend", ["lite-file"], indirect=True)
def test_what_cannot_be_explained_is_one_line(
    labelled: dict[str, Any], client: MilvusClient, collection_name: str, command: Command
) -> None:
    with pytest.raises(VdbclusterError, match=r"no row has a text in the field .noth"):
        command("explain", "last", "--text-field", "nothing")
    with pytest.raises(VdbclusterError, match="holds vectors"):
        command("explain", "last", "--text-field", "vec")
    with pytest.raises(VdbclusterError, match=r"20010101"):
        command("explain", "20010101", "--text-field", "headline")
    row = client.query(collection_name, "id == 0", output_fields=["vec"])[0]["vec"]
    client.insert(collection_name, [{"id": 9000, "vec": row, "headline": "a parcel"}])
    assigned = command("assign", "--json")
    with pytest.raises(VdbclusterError, match="only labelled rows that came later"):
        command("explain", assigned["run_id"], "--text-field", "headline")
    told = command("explain", "last", "--text-field", "headline", "--json")
    assert (told["run_id"], told["explain"]["rows"]) == (labelled["run_id"], len(WORDS) * EACH)
    client.delete(collection_name, filter="id < 200")
    with pytest.raises(VdbclusterError, match=r"120 of 180 rows of run .* are gone"):
        command("explain", labelled["run_id"], "--text-field", "headline")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["lite-file"], indirect=True)
def test_a_run_that_was_taken_back_is_explained_in_its_record_alone(
    labelled: dict[str, Any], command: Command
) -> None:
    command("rollback", labelled["run_id"], "--yes")
    told = command("explain", labelled["run_id"], "--text-field", "headline", "--json")
    assert told["explain"]["catalogue"] == ""
    assert all(card["keywords"] for card in told["cards"])


def test_the_field_of_texts_is_the_one_named_now_or_for_the_run() -> None:
    then = replace(MANIFEST, settings={"run": {"text_field": "headline"}})
    now = Settings(run=RunSettings(text_field="body"))
    assert named_field(MANIFEST, Settings()) == ""
    assert named_field(then, Settings()) == "headline"
    assert named_field(then, now) == "body"


def test_a_catalogue_of_other_clusters_is_left_alone() -> None:
    held = MemoryCollection(np.ones((9, 3)))
    catalogue = MemoryCatalogue(held)
    clusters = tuple(ClusterRow(i, 5, 0, 0.0, None, None) for i in (7, 8))
    run = replace(MANIFEST, clusters=clusters)
    assert not tells_of(catalogue, run)
    catalogue.replace(Catalogue((CatalogueEntry(7, 5, 0),), "r", held.identity))
    assert tells_of(catalogue, run)
    catalogue.replace(Catalogue((CatalogueEntry(1, 5, 0),), "r", held.identity))
    assert not tells_of(catalogue, run)
