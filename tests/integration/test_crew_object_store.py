"""Workers that share nothing but an object store: the same labels as one process."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest
from pymilvus import MilvusClient

from tests import zoo
from tests.backends import Backend
from tests.integration.crew_runs import plan, run, same
from tests.object_store import bucket


@pytest.mark.slow
def test_two_workers_share_an_object_store(
    lite_server: Backend, collection_name: str, tmp_path: Path
) -> None:
    client = MilvusClient(lite_server.uri)
    zoo.build(client, collection_name, zoo.by_name("partitions-varchar"), 400)
    where = ("run", "--uri", lite_server.uri, "-c", collection_name, "--method", "hdbscan")
    run(tmp_path / "one", *where, "--label-prefix", "one_")
    with bucket() as url:
        work = ("--workers", "2", "--work-dir", f"{url}/work")
        run(tmp_path / "two", *where, "--label-prefix", "two_", *work)
        files = fsspec.filesystem("s3", use_listings_cache=False)
        assert files.find(url) == []
    same(plan(tmp_path / "two"), plan(tmp_path / "one"))
    assert not (tmp_path / "two" / "runs" / "work").exists()
