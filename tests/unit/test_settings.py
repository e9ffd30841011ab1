"""Settings: who wins, what is refused, and in what words."""

from __future__ import annotations

from pathlib import Path

import pytest

from vdbcluster.config.settings import load_settings
from vdbcluster.errors import UsageError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_flag_beats_environment_beats_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vdbcluster.toml").write_text(
        '[milvus]\nuri = "file"\ncollection = "file"\ndb = "file"\n[cluster]\nmin_samples = 7\n'
    )
    monkeypatch.setenv("VDBCLUSTER__MILVUS__URI", "environment")
    monkeypatch.setenv("VDBCLUSTER__MILVUS__COLLECTION", "environment")
    settings = load_settings({"milvus": {"uri": "flag", "filter": None}})
    assert settings.milvus.uri == "flag"
    assert settings.milvus.collection == "environment"
    assert settings.milvus.db == "file"
    assert settings.cluster.min_samples == 7
    assert settings.milvus.filter == ""


def test_a_named_file_is_read_instead(tmp_path: Path) -> None:
    (tmp_path / "vdbcluster.toml").write_text('[milvus]\ndb = "default"\n')
    other = tmp_path / "other.toml"
    other.write_text('[milvus]\nuri = "other"\n')
    settings = load_settings({}, other)
    assert (settings.milvus.uri, settings.milvus.db) == ("other", "")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"cluster": {"min_cluster_size": 1}}, r"cluster.min_cluster_size.*2.*\(it is 1\)"),
        (
            {"cluster": {"min_samples": 60}, "neighbors": {"n_neighbors": 50}},
            "below min_samples 60",
        ),
        ({"neighbors": {"engine": "tpu"}}, r"neighbors.engine.*'tpu'"),
        ({"neighbors": {"engine": "milvus", "center": "mean"}}, "center moves the vectors"),
        ({"cluster": {"certify": True}, "neighbors": {"smooth": "shared-neighbors"}}, "smooth"),
        ({"cluster": {"certify": True, "method": "leiden"}}, "certify is about HDBSCAN"),
        ({"cluster": {"engine": "dense", "method": "kmeans"}}, "engine dense is about HDBSCAN"),
        ({"cluster": {"min_cluster_size": "few"}}, r"cluster.min_cluster_size.*\(it is 'few'\)"),
        ({"cluster": {"max_noise": 1.5}}, r"cluster.max_noise.*\(it is 1.5\)"),
        ({"write": {"label_prefix": "1;drop"}}, "write.label_prefix"),
        ({"milvus": {"tokn": "x"}}, "no setting milvus.tokn"),
    ],
)
def test_a_wrong_value_is_one_line_with_its_name(
    given: dict[str, dict[str, object]], told: str
) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        load_settings(given)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("VDBCLUSTER__FOO", "VDBCLUSTER__FOO is no setting"),
        ("VDBCLUSTER__MILVUS__COLECTION", "VDBCLUSTER__MILVUS__COLECTION is no setting"),
        ("VDBCLUSTER__MILVUS__URI__X", "is no setting"),
        ("VDBCLUSTER__MILVUS_COLLECTION", "write VDBCLUSTER__MILVUS__COLLECTION"),
        ("VDBCLUSTER_MILVUS_COLLECTION", "write VDBCLUSTER__MILVUS__COLLECTION"),
        ("vdbcluster__cluster_min_samples", "write VDBCLUSTER__CLUSTER__MIN_SAMPLES"),
    ],
)
def test_a_variable_that_is_no_setting_is_told(
    name: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(UsageError, match=told) as caught:
        load_settings({})
    assert "\n" not in str(caught.value)


def test_every_setting_can_be_said_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VDBCLUSTER__MILVUS__COLLECTION", "docs")
    monkeypatch.setenv("vdbcluster__cluster__min_samples", "9")
    monkeypatch.setenv("VDBCLUSTER__WRITE", '{"adopt": true}')
    monkeypatch.setenv("VDBCLUSTER_TEST_SOMETHING", "x")
    settings = load_settings({})
    assert settings.milvus.collection == "docs"
    assert settings.cluster.min_samples == 9
    assert settings.write.adopt


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        load_settings({}, tmp_path / "no.toml")


def test_a_broken_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "vdbcluster.toml").write_text("[milvus\n")
    with pytest.raises(UsageError, match=r"vdbcluster\.toml"):
        load_settings({})


@pytest.mark.parametrize("said", ["auto", 25, "25"])
def test_a_number_may_be_left_to_the_data(said: object) -> None:
    found = load_settings({"cluster": {"min_cluster_size": said}}).cluster.min_cluster_size
    assert found == ("auto" if said == "auto" else 25)
