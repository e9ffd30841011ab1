"""Settings of scale, and what travels to workers: sizes, contradictions, nothing secret."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest

from tests.unit.engine_graphs import exact
from vdbcluster.adapters.dask_loop import OURS, _Guarded
from vdbcluster.adapters.dask_workers import DaskWorkers, _client, check_workers
from vdbcluster.adapters.file_systems import shown
from vdbcluster.adapters.here import Here
from vdbcluster.adapters.milvus.key_ranges import KeyRange
from vdbcluster.adapters.quiet import QuietObserver
from vdbcluster.adapters.shard_files import ShardFiles
from vdbcluster.adapters.work_folders import WorkFolders
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.errors import ReadRefusedError, UsageError, VdbclusterError
from vdbcluster.hierarchy import build
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import HdbscanParams
from vdbcluster.pipeline.cluster import cluster_graph
from vdbcluster.pipeline.hierarchy_shards import BuildInShards
from vdbcluster.wiring.crew import Crew, alone, sent, work_url
from vdbcluster.wiring.shard_work import ReadShard, SearchShard

TOKEN = "root:S3cretWord"


def scale(**given: object) -> Settings:
    return load_settings({"scale": given})


@pytest.mark.parametrize(
    ("written", "held"),
    [
        ("8GB", 8 * 10**9),
        ("8 gb", 8 * 10**9),
        ("512MB", 512 * 10**6),
        ("1.5GiB", 3 * 2**29),
        ("2TiB", 2**41),
        ("600000000", 600_000_000),
        (600_000_000, 600_000_000),
        ("auto", "auto"),
    ],
)
def test_sizes(written: object, held: object) -> None:
    assert scale(memory_limit=written).scale.memory_limit == held


@pytest.mark.parametrize(
    "wrong", ["lots", "8XB", "-8GB", "8GB!", "", "0", "511MB", True, "1e99GB", "9" * 400]
)
def test_what_is_no_size_is_one_line(wrong: object) -> None:
    with pytest.raises(UsageError, match=r"^the setting scale\.memory_limit is wrong") as told:
        scale(memory_limit=wrong)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"workers": 2, "scheduler": "tcp://x:1", "work_dir": "w"}, "workers of its own"),
        ({"scheduler": "tcp://x:1"}, "--work-dir"),
        ({"workers": -1}, "scale.workers"),
        ({"shards": 0}, "scale.shards"),
    ],
)
def test_contradictions(given: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        scale(**given)


def test_no_address_of_the_cluster_is_put_in_a_record() -> None:
    from vdbcluster.config.settings import SECRET

    settings = scale(scheduler="tls://user:word@x:1", work_dir="s3://key:word@bucket/x")
    assert "word" not in str(settings.model_dump(mode="json", exclude=SECRET)["scale"])


def test_where_pieces_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert work_url(scale()) == str(tmp_path / "vdbcluster-runs" / "work")
    assert work_url(scale(work_dir="w")) == str(tmp_path / "w")
    assert work_url(scale(work_dir="s3://bucket/w")) == "s3://bucket/w"


def test_dask_is_loaded_by_none_who_does_not_ask_for_workers() -> None:
    code = (
        "import sys, vdbcluster, vdbcluster.cli.app, vdbcluster.wiring.main_job\n"
        "sys.exit(any(name.split('.')[0] in ('dask', 'distributed') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0


def test_pieces_are_enough_for_all_and_never_tiny() -> None:
    crew = Crew(scale(workers=4), WorkFolders("w"), count=4)
    assert len(crew.bounds(10_000)) - 1 == 2
    assert len(crew.bounds(100_000)) - 1 == 12
    assert len(crew.bounds(10_000_000)) - 1 == 200
    assert len(Crew(scale(shards=7), WorkFolders("w"), count=4).bounds(10_000)) - 1 == 7
    assert crew.bounds(1) == [0, 1]


def test_works_travel_and_show_no_secret(tmp_path: Path) -> None:
    settings = load_settings(
        {
            "milvus": {"uri": "http://me:S3cretWord@h:1", "token": TOKEN, "collection": "c"},
            "write": {"label_prefix": "sub_"},
        }
    )
    assert sent(settings).model_dump() == settings.model_dump()
    store = ShardFiles(str(tmp_path))
    works = [
        ReadShard(settings.milvus, store, (KeyRange("p", None, "x"),), "id"),
        SearchShard(sent(settings), store, (0, 5), "chord", 3, "id", True, 1),
    ]
    for work in works:
        assert "S3cretWord" not in repr(work)
        again = pickle.loads(pickle.dumps(work))
        assert again == work
        assert "S3cretWord" not in repr(_Guarded(work))


def test_secrets_that_works_do_not_need_stay_here() -> None:
    settings = load_settings({"chat": {"api_key": TOKEN}, "telemetry": {"webhook": "http://w/x"}})
    found = sent(settings)
    assert not found.chat.api_key.get_secret_value()
    assert not found.telemetry.webhook.get_secret_value()
    assert TOKEN.encode() not in pickle.dumps(found)


def test_a_store_is_told_without_user_and_password() -> None:
    url = "nosuch://me:S3cretWord@host/a@b"
    for call in (ShardFiles(url).drop, lambda: WorkFolders(url).clear("a", "b", 1.0)):
        with pytest.raises(UsageError, match="nosuch://host/a@b") as told:
            call()
        assert "S3cretWord" not in str(told.value)
    assert "S3cretWord" not in repr((ShardFiles(url), WorkFolders(url)))
    assert [shown(path) for path in ("/a@b/c", "s3://bucket/w")] == ["/a@b/c", "s3://bucket/w"]


class Hanging:
    """A Dask client whose workers do not answer."""

    def run(self, *_: object, on_error: str, callback_timeout: float) -> None:
        assert 0 < callback_timeout < 60
        raise TimeoutError


def test_a_worker_that_hangs_does_not_keep_a_run_from_ending() -> None:
    DaskWorkers(Hanging()).tell(print)


def test_what_this_process_says_of_its_place() -> None:
    crew = alone(scale())
    assert crew.readers is None
    assert crew.count == 0


def refuse(_: int) -> None:
    raise ReadRefusedError("not this", {"rows": 1})  # cannot be made again from its message alone


def test_an_error_of_ours_is_a_result_that_can_travel() -> None:
    found = _Guarded(refuse)(0)
    assert isinstance(found, VdbclusterError)  # of its own kind where Dask has taught pickle how
    assert str(found) == "not this"
    assert str(pickle.loads(pickle.dumps(found))) == "not this"


def test_another_version_is_refused_before_any_work() -> None:
    found = _Guarded(refuse, version="0.0.1")(0)
    assert isinstance(found, UsageError)
    assert "0.0.1" in str(found)


@dataclass(frozen=True)
class Scheduler:
    """What ``check_workers`` asks a client of Dask: the version that each worker has."""

    found: dict[str, object]
    hangs: bool = False

    def wait_for_workers(self, count: int, timeout: float) -> None:
        if len(self.found) < count:
            raise TimeoutError

    def run(self, *_: object, on_error: str, callback_timeout: float) -> dict[str, object]:
        assert on_error == "return"
        if self.hangs and callback_timeout:
            raise TimeoutError
        return self.found


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({}, "has no worker; start some"),
        ({"tcp://a:1": OURS, "tcp://b:2": "0.0.9"}, "tcp://b:2 has vdbcluster 0.0.9"),
        ({"tcp://a:1": PackageNotFoundError("vdbcluster")}, "tcp://a:1 has no vdbcluster"),
    ],
)
def test_workers_without_our_version_are_refused(found: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check_workers(Scheduler(found))
    check_workers(Scheduler({"tcp://a:1": OURS}))
    with pytest.raises(UsageError, match="has not answered"):
        check_workers(Scheduler({"tcp://a:1": OURS}, hangs=True))


def test_tls_without_certificates_is_one_line() -> None:
    def client(address: str, timeout: str) -> None:
        raise TypeError("TLS expects a `ssl_context` argument")

    with pytest.raises(UsageError, match=r"^tls://x:1 cannot be reached by TLS .*CA_FILE"):
        _client(client, "tls://x:1")


@pytest.fixture(scope="module")
def graph() -> NeighborGraph:
    rng = np.random.default_rng(1)
    return exact(rng.normal(size=(600, 3)) + 5.0 * rng.integers(0, 4, (600, 1)), 10)


@dataclass
class Counting:
    """Workers that count what they were asked for."""

    did: int = field(default=0)

    def each(self, work, shards, done) -> None:  # type: ignore[no-untyped-def]
        self.did += len(shards)
        Here().each(work, shards, done)


def in_pieces(place: WorkFolders, workers: object, pieces: int = 5) -> BuildInShards:
    def bounds(n_rows: int) -> list[int]:
        return np.linspace(0, n_rows, pieces + 1).astype(int).tolist()

    return BuildInShards(place, "0123456789ab", workers, bounds, QuietObserver())  # type: ignore[arg-type]


@pytest.mark.parametrize("pieces", [1, 2, 5, 32])
def test_clusters_of_pieces_are_those_of_the_whole(
    tmp_path: Path, graph: NeighborGraph, pieces: int
) -> None:
    settings = load_settings({"cluster": {"method": "hdbscan", "min_cluster_size": 15}})
    points = np.zeros((graph.n_rows, 3), np.float32)
    counting = Counting()
    cut = in_pieces(WorkFolders(str(tmp_path / "w")), counting, pieces)
    found = cluster_graph(graph, points, settings, exact=True, build=cut).clustering
    whole = cluster_graph(graph, points, settings, exact=True).clustering
    assert counting.did >= 3 * pieces
    assert whole.n_clusters > 1
    for name in ("labels", "probabilities", "outlier_scores"):
        assert np.array_equal(getattr(found, name), getattr(whole, name))
    assert list((tmp_path / "w").iterdir()) == []


@pytest.mark.parametrize(
    "cluster",
    [
        {"method": "auto"},
        {"method": "hdbscan", "join": "bridge"},
        {"method": "hdbscan", "engine": "compatible"},
        {"method": "hdbscan", "certify": True},
    ],
)
def test_what_needs_more_than_the_pieces_is_built_whole(
    tmp_path: Path, graph: NeighborGraph, cluster: dict[str, object]
) -> None:
    rng = np.random.default_rng(1)
    points = (rng.normal(size=(600, 3)) + 5.0 * rng.integers(0, 4, (600, 1))).astype(np.float32)
    counting = Counting()
    settings = load_settings({"cluster": cluster})
    cut = in_pieces(WorkFolders(str(tmp_path / "w")), counting)
    cluster_graph(graph, points, settings, exact=True, build=cut)
    assert counting.did == 0


@dataclass
class Dying:
    """Workers that are lost in the second step."""

    steps: int = field(default=0)

    def each(self, work, shards, done) -> None:  # type: ignore[no-untyped-def]
        self.steps += 1
        if self.steps == 2:
            raise KeyboardInterrupt
        Here().each(work, shards, done)


def test_pieces_of_another_graph_are_never_taken(tmp_path: Path, graph: NeighborGraph) -> None:
    params = HdbscanParams(min_cluster_size=15, min_samples=5)
    place = WorkFolders(str(tmp_path / "w"))
    with pytest.raises(KeyboardInterrupt):
        in_pieces(place, Dying())(graph, params)
    (left,) = (tmp_path / "w").iterdir()
    nearer = NeighborGraph(graph.indices, graph.distances * np.float32(0.5), graph.metric)
    in_pieces(place, Here())(nearer, params)
    assert [path.name for path in (tmp_path / "w").iterdir()] == [left.name]
    mails = {path: path.stat().st_mtime_ns for path in left.glob("mail-*")}
    assert len(mails) == 5
    found, whole = in_pieces(place, Here())(graph, params), build(graph, params)
    assert np.array_equal(found.core_distances, whole.core_distances)
    assert not left.exists()
