"""The table of bad inputs through a whole ingest: one line each, and nothing half-written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.backends import LITE_SERVER, Backend
from tests.bad_inputs import CASES, BadInput, settings_of
from tests.fault_server import FaultServer
from tests.silent import Listener
from vdbcluster.config.ingest import EmbedSettings
from vdbcluster.config.milvus import MilvusSettings
from vdbcluster.config.settings import RunSettings, Settings
from vdbcluster.errors import SourceRowError, UsageError
from vdbcluster.wiring.ingest import ingest_job

only_a_process = pytest.mark.parametrize("backend", [LITE_SERVER], indirect=True)


@pytest.fixture(scope="module")
def api() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


def settings_for(
    case: BadInput, folder: Path, backend: Backend, name: str, api: FaultServer, on_error: str
) -> Settings:
    source, ingest = settings_of(case, folder)
    return Settings(
        milvus=MilvusSettings(uri=backend.uri, collection=name),
        source=source,
        ingest=ingest.model_copy(update={"on_error": on_error}),
        embed=EmbedSettings(base_url=api.url, model="m", cache=None),
        run=RunSettings(runs_dir=folder / "runs"),
    )


@only_a_process
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_ingest_ends_with_the_line_of_the_table(
    case: BadInput,
    backend: Backend,
    client: Any,
    collection_name: str,
    api: FaultServer,
    tmp_path: Path,
) -> None:
    path = case.make(tmp_path)
    settings = settings_for(case, tmp_path, backend, collection_name, api, "stop")
    with pytest.raises(UsageError if case.kind == "usage" else SourceRowError) as told:
        ingest_job(str(path), settings, Listener())
    line = str(told.value).replace(str(path), "{path}").replace(str(path.parent), "{folder}")
    assert "\n" not in line
    if case.kind == "fault":
        assert f"row {case.row:,}: " in line
        line = line.partition(f"row {case.row:,}: ")[2].partition("; mend it, or pass")[0]
    assert case.is_told(line), line
    if case.kind == "usage":
        assert not client.has_collection(collection_name)


FAULTS = [case for case in CASES if case.kind == "fault"]


@only_a_process
@pytest.mark.parametrize("case", FAULTS[::4], ids=lambda case: case.name)
def test_put_aside_it_does_not_keep_the_others_out(
    case: BadInput,
    backend: Backend,
    client: Any,
    collection_name: str,
    api: FaultServer,
    tmp_path: Path,
) -> None:
    path = case.make(tmp_path)
    settings = settings_for(case, tmp_path, backend, collection_name, api, "quarantine")
    try:
        result = ingest_job(str(path), settings, Listener())
    except SourceRowError as error:
        assert "no row can be read" in str(error)  # noqa: PT017
        return
    report = result.report
    assert report.faults >= 1
    assert report.read == report.written + report.duplicates + report.faults
    assert report.stored == report.written
    assert result.quarantine is not None
    assert len(result.quarantine.read_text().splitlines()) == report.faults
