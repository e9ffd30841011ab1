"""A collection behind a proxy, and runs on it that end in this process.

In: a proxy, a client past it. Out: ``World``: runs, and what they did. Promise: what a run raises
carries the line and the exit code of the command; a fault that was planned must strike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pymilvus import MilvusClient

from tests import zoo
from tests.emulation import Proxy
from tests.silent import SILENT
from tests.snapshot import Snapshot, diff, snapshot
from vdbcluster.config.settings import load_settings
from vdbcluster.errors import VdbclusterError
from vdbcluster.wiring.main_job import run_job

ROWS = 200
HNSW, PLAIN = zoo.by_name("hnsw-varchar"), zoo.by_name("plain-int")


@dataclass
class World:
    """A collection behind a proxy, a client past it, and a run through it."""

    proxy: Proxy
    client: MilvusClient
    name: str
    home: Path
    specimen: zoo.Specimen
    inserted: zoo.Inserted = field(init=False)
    before: Snapshot = field(default_factory=dict)
    runs_dir: Path | None = None
    planned: bool = False
    struck: bool = False

    def __post_init__(self) -> None:
        self.inserted = zoo.build(self.client, self.name, self.specimen, rows=ROWS)
        self.before = snapshot(self.client, self.name)

    def run(self, collection: str = "", uri: str = "", **milvus: Any) -> dict[str, Any]:
        """What a whole run says that it wrote."""
        where = {"uri": uri or self.proxy.backend.uri, "collection": collection or self.name}
        said = {
            "milvus": where | {"timeout": 20.0, "patience": 60.0} | milvus,
            "cluster": {"min_cluster_size": 10, "resamples": 0},
            "neighbors": {"engine": "milvus"},
            "write": {"batch": 50, "catalogue": False},
            "run": {"runs_dir": self.runs_dir or self.home / "runs"},
        }
        try:
            told: dict[str, Any] = run_job(load_settings(said), SILENT).facts["write"]
        finally:
            assert self.struck or not self.planned, "nothing ever struck"
        return told

    @property
    def names(self) -> tuple[str, str]:
        """By which the collection may be called."""
        return self.name, f"{self.name}_alias"

    def refused(self, error: type[VdbclusterError], **milvus: Any) -> str:
        """The one line of a run that ends with this error; no foreign byte has changed."""
        with pytest.raises(error) as raised:
            self.run(**milvus)
        line = str(raised.value)
        assert "\n" not in line
        assert raised.value.exit_code == error.exit_code
        return line

    def labelled(self, name: str = "") -> int:
        found = self.client.query(
            name or self.name,
            filter="cluster_id >= -1",
            output_fields=["count(*)"],
            consistency_level="Strong",
        )
        return int(found[0]["count(*)"])

    def collections(self) -> list[str]:
        """Ours, and what was made beside it."""
        return [name for name in self.client.list_collections() if name.startswith(self.name)]

    def unharmed(self) -> bool:
        return diff(self.before, snapshot(self.client, self.name)) == []

    def at_first(self, method: str, act: Callable[[Any], Any]) -> None:
        """Act just before the first call of the method that is about our collection."""

        def strike(request: Any) -> None:
            self.struck = True
            act(request)

        self.planned = True
        self.proxy.when(method, lambda request: request.collection_name in self.names, strike)
