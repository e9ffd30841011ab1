"""Where runs are kept: on disk and in memory, the same to every caller."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as any_array

from vdbcluster.adapters.memory_runs import MemoryRuns
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.errors import UsageError, VdbclusterError
from vdbcluster.model.manifest import ClusterRow, RunManifest
from vdbcluster.ports import RunStore

ANY_TIME = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
MANIFEST = RunManifest(
    run_id="20260301T030000-aaaaaa",
    state="written",
    collection="articles",
    identity="articles/4711",
    selection={"server": "here", "filter": "", "partitions": ["a", "b"]},
    settings={"cluster": {"method": "leaf"}},
    versions={"numpy": "2"},
    facts={"plan": {"changed": 3}, "audit": {"recall": 0.125}},
    seconds={"read": 0.5},
    clusters=(ClusterRow(0, 5, 1, 0.5, None, "Größe"), ClusterRow(1, 2, 0, 0.25, 1.0, None)),
    started="2026-03-01T03:00:00.000000+00:00",
)
ARRAYS = {
    "keys": np.array(["", "a", "ö\x00\n", "\ud800"], object),
    "none": np.empty(0, object),
    "ids": np.array([-(2**63), 2**63 - 1]),
    "scores": np.array([np.nan, -0.0, 1e-45], np.float32),
    "flags": np.array([True, False]),
    "codes": np.array([[1, 2], [3, 4]], np.int8),
}


@pytest.fixture(params=["directory", "memory"])
def runs(request: pytest.FixtureRequest, tmp_path: Path) -> RunStore:
    return RunDirectory(tmp_path / "runs") if request.param == "directory" else MemoryRuns()


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype
        and (
            one[name].tolist() == other[name].tolist()
            if one[name].dtype == object
            else one[name].tobytes() == other[name].tobytes()
            and one[name].shape == other[name].shape
        )
        for name in one
    )


def test_a_manifest_comes_back_as_it_was_saved_last(runs: RunStore) -> None:
    runs.save(replace(MANIFEST, state="writing"))
    runs.save(MANIFEST)
    back = runs.load(MANIFEST.run_id)
    assert back == MANIFEST
    assert runs.every() == (back,)


def test_runs_are_listed_by_when_they_started(runs: RunStore) -> None:
    """Not by their ids: two of the same second differ in random digits alone."""
    assert runs.every() == ()
    assert runs.ids() == ()
    for run_id, moment in (("b", "09.5"), ("c", "07"), ("a", "10")):
        started = f"2026-03-01T03:00:{moment}+00:00"
        runs.save(replace(MANIFEST, run_id=run_id, started=started))
    assert [manifest.run_id for manifest in runs.every()] == ["c", "b", "a"]
    assert sorted(runs.ids()) == ["a", "b", "c"]


def test_arrays_come_back_by_part(runs: RunStore) -> None:
    runs.save(MANIFEST)
    runs.save_arrays(MANIFEST.run_id, ARRAYS)
    runs.save_arrays(MANIFEST.run_id, {"mean": np.ones(3)}, "kept")
    assert same(runs.load_arrays(MANIFEST.run_id), ARRAYS)
    assert same(runs.load_arrays(MANIFEST.run_id, "plan"), ARRAYS)
    assert same(runs.load_arrays(MANIFEST.run_id, "kept"), {"mean": np.ones(3)})
    runs.save_arrays(MANIFEST.run_id, {"other": np.zeros(1)})
    assert same(runs.load_arrays(MANIFEST.run_id), {"other": np.zeros(1)})
    runs.save_arrays(MANIFEST.run_id, {}, "catalogue")
    assert runs.load_arrays(MANIFEST.run_id, "catalogue") == {}


def test_what_is_not_there_is_one_line(runs: RunStore) -> None:
    runs.save(MANIFEST)
    with pytest.raises(UsageError) as unknown:
        runs.load("20260301T030000-bbbbbb")
    with pytest.raises(UsageError):
        runs.load_arrays("another")
    with pytest.raises(VdbclusterError, match="recorded no plan") as missing:
        runs.load_arrays(MANIFEST.run_id)
    assert all("\n" not in str(found.value) for found in (unknown, missing))


def test_texts_come_back_by_part(runs: RunStore) -> None:
    runs.save(MANIFEST)
    with pytest.raises(VdbclusterError, match="recorded no classifiers"):
        runs.load_text(MANIFEST.run_id, "classifiers")
    for text in ("{}", '{"größe": "\\ud800\\n"}\n'):
        runs.save_text(MANIFEST.run_id, text, "classifiers")
        assert runs.load_text(MANIFEST.run_id, "classifiers") == text
    with pytest.raises(UsageError):
        runs.load_text("another", "classifiers")
    runs.save_text("text alone", "{}", "classifiers")
    assert set(runs.ids()) == {MANIFEST.run_id, "text alone"}
    assert set(runs.having("classifiers")) == {MANIFEST.run_id, "text alone"}
    runs.drop_arrays(MANIFEST.run_id, "classifiers")
    assert runs.having("classifiers") == ("text alone",)
    runs.remove("text alone")
    assert runs.ids() == (MANIFEST.run_id,)
    with pytest.raises(UsageError):
        runs.load_text("text alone", "classifiers")


def test_one_part_is_dropped_and_nothing_else(runs: RunStore) -> None:
    for run_id in ("one", "other"):
        runs.save(replace(MANIFEST, run_id=run_id))
        runs.save_arrays(run_id, ARRAYS)
        runs.save_arrays(run_id, ARRAYS, "graph")
    assert sorted(runs.having("graph")) == ["one", "other"]
    runs.drop_arrays("one", "graph")
    runs.drop_arrays("one", "graph")
    runs.drop_arrays("never there", "graph")
    assert runs.having("graph") == ("other",)
    assert same(runs.load_arrays("one"), ARRAYS)
    with pytest.raises(VdbclusterError, match="recorded no graph"):
        runs.load_arrays("one", "graph")


def test_a_part_goes_over_to_another_run(runs: RunStore) -> None:
    for run_id in ("one", "other"):
        runs.save(replace(MANIFEST, run_id=run_id))
    runs.save_arrays("one", ARRAYS, "graph")
    runs.save_arrays("other", {"old": np.zeros(3)}, "graph")
    runs.move_arrays("one", "graph", "other")
    assert runs.having("graph") == ("other",)
    assert same(runs.load_arrays("other", "graph"), ARRAYS)
    with pytest.raises(VdbclusterError):
        runs.move_arrays("one", "graph", "other")
    assert same(runs.load_arrays("other", "graph"), ARRAYS)


def test_a_run_is_removed_and_no_other(runs: RunStore) -> None:
    for run_id in ("one", "other"):
        runs.save(replace(MANIFEST, run_id=run_id))
        runs.save_arrays(run_id, ARRAYS)
        runs.save_arrays(run_id, ARRAYS, "kept")
    runs.remove("one")
    runs.remove("one")
    runs.remove("never there")
    assert runs.ids() == ("other",)
    assert same(runs.load_arrays("other", "kept"), ARRAYS)


numbers = any_array(
    st.sampled_from([np.int64, np.float32, np.float64, np.int8, np.bool_]),
    st.integers(0, 8),
)
texts = st.lists(st.text(max_size=6), max_size=6).map(lambda found: np.array(found, object))


@given(st.dictionaries(st.sampled_from(["a", "a.values", "b", "old_b"]), numbers | texts))
@settings(ANY_TIME, max_examples=60)
def test_whatever_is_saved_comes_back(runs: RunStore, arrays: dict[str, np.ndarray]) -> None:
    runs.save_arrays("x", arrays)
    assert same(runs.load_arrays("x"), arrays)


@given(st.dictionaries(st.sampled_from(["a", "a.values", "ö" * 50, "old_b"]), numbers | texts))
@settings(ANY_TIME, max_examples=60)
def test_whatever_is_mapped_comes_back(
    tmp_path: Path, mapped: None, arrays: dict[str, np.ndarray]
) -> None:
    runs = RunDirectory(tmp_path)
    runs.save_arrays("x", arrays, "graph")
    back = runs.load_arrays("x", "graph")
    assert same(back, arrays)
    for name, array in back.items():
        assert array.flags.aligned
        assert array.flags.writeable
        assert isinstance(array, np.memmap) == (arrays[name].dtype != object and array.size > 0)


@pytest.fixture
def mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the smallest array were a large one."""
    monkeypatch.setattr("vdbcluster.adapters.runs.MAPPED", 1)


def test_small_arrays_and_other_parts_are_in_memory(tmp_path: Path) -> None:
    runs = RunDirectory(tmp_path)
    large = {"a": np.arange(200_000), "few": np.arange(3)}
    for part, kinds in (("graph", {"a"}), ("smoothed", {"a"}), ("plan", set())):
        runs.save_arrays("x", large, part)
        back = runs.load_arrays("x", part)
        assert {name for name in back if isinstance(back[name], np.memmap)} == kinds


def test_a_map_stays_whole_and_changes_no_record(tmp_path: Path, mapped: None) -> None:
    runs = RunDirectory(tmp_path)
    saved = {"a": np.arange(10_000).reshape(-1, 2)}
    runs.save_arrays("x", saved, "graph")
    back, other = runs.load_arrays("x", "graph"), runs.load_arrays("x", "graph")
    back["a"][0] = 7
    runs.move_arrays("x", "graph", "y")
    assert same(runs.load_arrays("y", "graph"), saved)
    runs.save_arrays("y", {"a": np.zeros(3)}, "graph")
    runs.drop_arrays("y", "graph")
    assert same(other, saved)
    assert back["a"][0].tolist() == [7, 7]


def test_where_the_system_has_no_memory_for_a_copy_the_map_is_read_only(
    tmp_path: Path, mapped: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = np.memmap

    def scarce(file: object, kind: object, mode: str, *more: object) -> np.ndarray:
        if mode == "c":
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        return real(file, kind, mode, *more)  # type: ignore[call-overload, no-any-return]

    runs = RunDirectory(tmp_path)
    runs.save_arrays("x", ARRAYS, "graph")
    monkeypatch.setattr(np, "memmap", scarce)
    back = runs.load_arrays("x", "graph")
    assert same(back, ARRAYS)
    assert not back["codes"].flags.writeable


def test_graphs_that_earlier_versions_kept_are_read(tmp_path: Path, mapped: None) -> None:
    runs = RunDirectory(tmp_path)
    runs.save_arrays("x", {}, "graph")
    numbers = {name: array for name, array in ARRAYS.items() if array.dtype != object}
    for write in (np.savez, np.savez_compressed):
        write(runs.path("x") / "graph.npz", **numbers)
        assert same(runs.load_arrays("x", "graph"), numbers)


def kept(tmp_path: Path, part: str = "plan") -> RunDirectory:
    runs = RunDirectory(tmp_path / "runs")
    runs.save(MANIFEST)
    runs.save_arrays(MANIFEST.run_id, ARRAYS, part)
    return runs


@pytest.mark.parametrize(("part", "name"), [("plan", "arrays.npz"), ("graph", "graph.npz")])
@given(st.data())
@settings(ANY_TIME, max_examples=150)
def test_a_damaged_file_is_told_or_makes_no_difference(
    tmp_path: Path, mapped: None, part: str, name: str, data: st.DataObject
) -> None:
    """Cut off anywhere, or any byte another: no array comes back that was not saved."""
    runs = kept(tmp_path, part)
    place = runs.path(MANIFEST.run_id) / name
    whole = place.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        place.write_bytes(whole[:at])
    else:
        place.write_bytes(
            whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
        )
    told, back = outcome(runs, part)
    if told:
        assert str(place) in told
        assert "\n" not in told
    assert all(same({name: back[name]}, {name: ARRAYS[name]}) for name in back)


def outcome(runs: RunDirectory, part: str) -> tuple[str, dict[str, np.ndarray]]:
    try:
        return "", runs.load_arrays(MANIFEST.run_id, part)
    except VdbclusterError as error:
        return str(error), {}


RUBBISH = [
    b"",
    b"\x00" * 40,
    b"[]",
    b"null",
    b"{",
    b'{"version": 2}',
    b'{"version": 99}',
    b'{"version": "x"}',
    '{"version": 2, "run_id": "ö'.encode()[:-1],
    b"[" * 100_000,
]


@pytest.mark.parametrize("rubbish", RUBBISH, ids=range(len(RUBBISH)))
def test_a_damaged_manifest_is_told_and_stops_no_list(tmp_path: Path, rubbish: bytes) -> None:
    runs = kept(tmp_path)
    runs.save(replace(MANIFEST, run_id="damaged"))
    place = runs.path("damaged") / "manifest.json"
    place.write_bytes(rubbish)
    with pytest.raises(VdbclusterError, match="cannot be read") as told:
        runs.load("damaged")
    assert str(place) in str(told.value)
    assert "\n" not in str(told.value)
    assert [manifest.run_id for manifest in runs.every()] == [MANIFEST.run_id]
    assert "damaged" in runs.ids()


def test_pickled_arrays_are_not_loaded(tmp_path: Path) -> None:
    runs = kept(tmp_path)
    np.savez(runs.path(MANIFEST.run_id) / "arrays.npz", keys=np.array([{"a": 1}], object))
    with pytest.raises(VdbclusterError, match="cannot be read"):
        runs.load_arrays(MANIFEST.run_id)


def test_a_run_of_before_is_read(tmp_path: Path) -> None:
    """Version 1 had another name for a state, and said nothing of when it started."""
    runs = kept(tmp_path)
    place = runs.path(MANIFEST.run_id) / "manifest.json"
    stored = json.loads(place.read_bytes()) | {"version": 1, "state": "clustered"}
    del stored["started"]
    place.write_text(json.dumps(stored))
    assert runs.load(MANIFEST.run_id) == replace(MANIFEST, state="planned", started="")


def test_a_newer_record_says_so(tmp_path: Path) -> None:
    runs = kept(tmp_path)
    place = runs.path(MANIFEST.run_id) / "manifest.json"
    place.write_text(json.dumps(json.loads(place.read_bytes()) | {"version": 7}))
    with pytest.raises(VdbclusterError, match=r"version 7.*newer vdbcluster"):
        runs.load(MANIFEST.run_id)


def test_only_our_own_files_are_removed(tmp_path: Path) -> None:
    runs = kept(tmp_path)
    folder = runs.path(MANIFEST.run_id)
    (folder / ".arrays.npz.4711").write_bytes(b"of a killed process")
    (folder / ".classifiers.json.4711").write_bytes(b"of a killed process")
    runs.save_text(MANIFEST.run_id, "{}", "classifiers")
    (folder / "notes.json").write_text("mine")
    (tmp_path / "runs" / "unrelated").mkdir()
    (tmp_path / "runs" / "unrelated" / "data.json").touch()
    assert runs.ids() == (MANIFEST.run_id,)
    runs.remove(MANIFEST.run_id)
    assert [path.name for path in folder.iterdir()] == ["notes.json"]
    assert runs.ids() == ()


@pytest.mark.parametrize("name", ["../runs", "..", ".", "", "20260301T030000-aaaaaa/.", "/etc"])
def test_no_name_leads_out_of_the_directory(tmp_path: Path, name: str) -> None:
    runs = kept(tmp_path)
    with pytest.raises(UsageError, match="there is no run"):
        runs.load(name)
    runs.remove(name)
    assert runs.ids() == (MANIFEST.run_id,)


def test_an_unknown_run_names_the_directory_and_the_nearest(tmp_path: Path) -> None:
    runs = kept(tmp_path)
    with pytest.raises(UsageError) as told:
        runs.load("20260301T030000-aaaaab")
    assert str(tmp_path / "runs") in str(told.value)
    assert MANIFEST.run_id in str(told.value)
    with pytest.raises(UsageError, match=r"there is no run in .*empty"):
        RunDirectory(tmp_path / "empty").load("x")
