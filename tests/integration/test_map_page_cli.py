"""``vdbcluster map`` as a person meets it: a file of what the run found, under its names of now."""

from __future__ import annotations

import base64
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient
from typer.testing import CliRunner

from tests.backends import Backend
from tests.snapshot import snapshot
from vdbcluster.cli.app import app
from vdbcluster.pages.map_encode import unpacked

EACH, DIM = 40, 8


def picture(shade: int) -> str:
    image = pytest.importorskip("PIL.Image")
    out = io.BytesIO()
    image.new("L", (8, 8), shade).save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def fill(client: MilvusClient, name: str) -> None:
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vec", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("text", DataType.VARCHAR, max_length=300)
    schema.add_field("image", DataType.VARCHAR, max_length=2000)
    index = client.prepare_index_params()
    index.add_index("vec", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index)
    rng = np.random.default_rng(0)
    vectors = np.repeat(8 * np.eye(DIM)[:3], EACH, axis=0) + rng.normal(0, 0.5, (3 * EACH, DIM))
    rows = [
        {
            "id": i,
            "vec": vector.astype(np.float32).tolist(),
            "text": f"</script> parcel {i}",
            "image": picture(2 * i) if i % 2 else "../no.png",
        }
        for i, vector in enumerate(vectors)
    ]
    client.insert(name, rows)
    client.load_collection(name)


def data_of(place: Path) -> dict[str, Any]:
    """What the page draws."""
    html = place.read_text(encoding="utf-8")
    begun = html.index('id="vmap-data">') + len('id="vmap-data">')
    data: dict[str, Any] = json.loads(html[begun : html.index("</script>", begun)])
    return data


@pytest.mark.parametrize("backend", ["lite-file"], indirect=True)
def test_a_map_of_a_run(
    backend: Backend, client: MilvusClient, collection_name: str, tmp_path: Path
) -> None:
    fill(client, collection_name)
    at = ["--uri", backend.uri, "--runs-dir", str(tmp_path / "runs")]
    here = ["--uri", backend.uri, "-c", collection_name]

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, list(arguments))
        assert done.exit_code == 0, done.output
        return done.stdout

    run("run", "--min-cluster-size", "10", "--yes", *at, "-c", collection_name)
    run("clusters", "rename", "0", "By <b>hand</b>", *here)
    run("clusters", "hide", "1", *here)
    client.load_collection(collection_name)
    before = snapshot(client, collection_name, exclude=())
    place = tmp_path / "map.html"

    told = json.loads(run("map", "last", "--output", str(place), "--json", *at))
    assert (told["rows"], told["drawn"], told["clusters"]) == (120, 120, 3)
    assert told["bytes"] == place.stat().st_size
    assert told["pictures"] == 60
    assert told["told"] == [
        "60 pictures are left out: a path, without --image-dir (such as '../no.png')"
    ]
    data = data_of(place)
    named = {one["id"]: one for one in data["clusters"]}
    assert named[0]["title"] == "By <b>hand</b>"
    assert named[1]["hidden"]
    assert named[1]["slot"] == -1
    assert unpacked(data["texts"])[5] == "</script> parcel 5"
    assert "</script> parcel" not in place.read_text(encoding="utf-8")
    pictures = unpacked(data["images"])
    assert pictures[0] is None
    assert str(pictures[1]).startswith("data:image/webp;base64,")
    assert snapshot(client, collection_name, exclude=()) == before

    again = json.loads(
        run("map", "-o", str(place), "--dimensions", "3", "--hover-chars", "0", "--json", *at)
    )
    data = data_of(place)
    assert len(data["axes"]) == 3
    assert "texts" not in data
    assert again["run_id"] == told["run_id"]
    assert not list(tmp_path.glob(".map*"))  # nothing is left beside it


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("-o", "map.pdf"), "must end in .html, .png or .svg"),
        (("-o", "none/map.html"), "the directory none does not exist"),
        (("-o", "folder.html"), "is a directory"),
        (("-o", "map.png", "--dimensions", "3"), "a PNG or SVG is flat"),
        (("--max-mb", "2"), "greater than 5"),
    ],
)
def test_what_cannot_be_written_is_said_first(
    arguments: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("datamapplot")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.html").mkdir()
    done = CliRunner().invoke(app, ["map", *arguments, "--uri", "none.db"])
    assert done.exit_code != 0
    assert told in str(done.exception)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_is_not_ours(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    done = CliRunner().invoke(app, ["map", "-o", str(tmp_path / "m.html"), "--uri", "none.db"])
    tmp_path.chmod(0o700)
    assert "nothing can be written" in str(done.exception)
