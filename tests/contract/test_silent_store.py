"""An object store that hangs, pauses, breaks off or is away for a while: over real HTTP.

A proxy stands before the store. Times are a small part of those that users get (``PATIENCE``).
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import fsspec
import numpy as np
import pytest

from tests.object_store import bucket, known
from tests.proxy import Proxy
from vdbcluster.adapters.file_systems import PATIENCE, Patience, file_system, patiently
from vdbcluster.adapters.shard_files import ShardFiles
from vdbcluster.adapters.work_folders import WorkFolders
from vdbcluster.errors import UsageError, VdbclusterError

pytestmark = pytest.mark.slow
SHORT = Patience(answer=0.2, tries=2, pause=0.3)
"""Gives up after about a second."""
LONG = Patience(answer=0.4, tries=5, pause=1.2)
"""Survives ``PAUSE``."""
PAUSE = 1.0
ROWS = np.arange(500_000.0).reshape(-1, 50)  # 4 MB


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with bucket() as url:
        yield url


@pytest.fixture
def proxy(upstream: str) -> Iterator[Proxy]:
    there = urlsplit(os.environ["AWS_ENDPOINT_URL"])
    with (
        Proxy(str(there.hostname), int(there.port or 0)) as found,
        known(AWS_ENDPOINT_URL=found.url),
    ):
        yield found


@pytest.fixture
def url(upstream: str) -> str:
    return f"{upstream}/{uuid.uuid4().hex}"


def took(use: Callable[[], object]) -> float:
    begin = time.monotonic()
    use()
    return time.monotonic() - begin


def test_users_hear_within_about_a_minute_and_survive_half_of_it() -> None:
    assert PATIENCE.pause == 30.0
    assert PATIENCE.pause < PATIENCE.tries * PATIENCE.answer <= 60.0


def test_the_client_has_these_times(proxy: Proxy, url: str) -> None:
    files, _ = file_system(url)
    config = files.s3.meta.config
    assert config.read_timeout == PATIENCE.answer
    assert config.connect_timeout == 5
    assert config.retries["total_max_attempts"] == PATIENCE.tries
    assert files.retries == 1


def test_a_place_that_hangs_is_one_line_before_anything_is_read(proxy: Proxy, url: str) -> None:
    proxy.fall_silent()

    def check() -> None:
        with pytest.raises(VdbclusterError, match=f"the place {url} does not answer") as told:
            WorkFolders(url, SHORT).check()
        assert not isinstance(told.value, UsageError)
        assert "\n" not in str(told.value)
        assert proxy.url in str(told.value)
        assert "--work-dir" in str(told.value)
        assert "secret" not in str(told.value)

    seconds = took(check)
    assert SHORT.tries * SHORT.answer < seconds < 5


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.has("x"),
        lambda store: store.save("x", {"a": np.arange(3)}),
        lambda store: store.load("x"),
        lambda store: store.save_matrix("m", ROWS),
        lambda store: store.matrix("m"),
        lambda store: store.remove("x"),
        lambda store: store.drop(),
    ],
    ids=["has", "save", "load", "save-matrix", "matrix", "remove", "drop"],
)
def test_every_use_of_a_silent_store_ends_in_one_line(
    use: Callable[[ShardFiles], object], proxy: Proxy, url: str
) -> None:
    store = ShardFiles(url, SHORT)
    store.save("x", {"a": np.arange(3)})
    proxy.fall_silent()
    begin = time.monotonic()
    with pytest.raises(VdbclusterError, match=f"the place {url} does not answer") as told:
        use(store)
    assert time.monotonic() - begin < 5
    assert "run again" in str(told.value)
    assert "\n" not in str(told.value)


def test_clearing_a_silent_store_ends_in_one_line(proxy: Proxy, url: str) -> None:
    proxy.fall_silent()
    with pytest.raises(VdbclusterError, match=r"cannot be cleared \(Read timeout"):
        WorkFolders(url, SHORT).clear("0123abcd", "", 1.0)


def test_a_pause_of_the_store_is_survived_by_every_use(proxy: Proxy, url: str) -> None:
    store = ShardFiles(url, LONG)
    store.save("before", {"a": np.arange(3)})
    for use in (
        lambda: store.save("x", {"a": np.arange(4)}),
        lambda: store.save_matrix("m", ROWS),
        lambda: store.load("before"),
        lambda: store.matrix("m"),
        lambda: WorkFolders(url, LONG).clear("0123abcd", "", 1.0),
    ):
        proxy.fall_silent(PAUSE)
        assert took(use) >= PAUSE - 0.1
    np.testing.assert_array_equal(store.load("x")["a"], np.arange(4))
    np.testing.assert_array_equal(store.matrix("m"), ROWS)
    store.drop()
    assert not store.has("x")


def test_an_answer_that_stops_in_the_middle_is_asked_for_again(proxy: Proxy, url: str) -> None:
    store = ShardFiles(url, LONG)
    store.save_matrix("m", ROWS)
    proxy.fall_silent(PAUSE, after=ROWS.nbytes // 3)
    np.testing.assert_array_equal(store.matrix("m"), ROWS)
    store.save("x", {"a": ROWS})
    proxy.fall_silent(PAUSE, after=ROWS.nbytes // 3)
    np.testing.assert_array_equal(store.load("x")["a"], ROWS)


def test_an_answer_that_stops_for_good_is_one_line(proxy: Proxy, url: str) -> None:
    store = ShardFiles(url, SHORT)
    store.save_matrix("m", ROWS)
    proxy.fall_silent(after=ROWS.nbytes // 3)
    with pytest.raises(VdbclusterError, match=f"the place {url} does not answer"):
        store.matrix("m")


def test_a_store_that_is_away_for_a_while_is_survived(proxy: Proxy, url: str) -> None:
    store = ShardFiles(url, Patience(answer=1.0, tries=1, pause=10.0))
    proxy.refuse(PAUSE)
    assert took(lambda: store.save("x", {"a": np.arange(3)})) >= PAUSE - 0.1
    assert store.has("x")


def test_what_no_waiting_mends_is_told_at_once(proxy: Proxy, url: str) -> None:
    def check() -> None:
        with pytest.raises(UsageError, match="a bucket that is there"):
            WorkFolders("s3://nowhere/work").check()
        with pytest.raises(VdbclusterError, match="if it is damaged, remove it"):
            ShardFiles(url).load("absent")

    assert took(check) < PATIENCE.answer / 2


@pytest.mark.parametrize("scheme", ["s3", "s3a"])
def test_times_that_the_user_has_set_stay(
    scheme: str, proxy: Proxy, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = {"read_timeout": 0.3, "retries": {"total_max_attempts": 1}, "max_pool_connections": 3}
    monkeypatch.setitem(fsspec.config.conf, scheme, {"config_kwargs": theirs})
    proxy.fall_silent()

    def check() -> None:
        with pytest.raises(VdbclusterError, match="does not answer"):
            WorkFolders(url).check()

    assert 0.3 < took(check) < 3
    assert file_system(url)[0].s3.meta.config.max_pool_connections == 3


def test_tries_that_the_user_has_set_stay(
    proxy: Proxy, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    assert file_system(url)[0].s3.meta.config.retries["total_max_attempts"] == 2


def test_errors_of_this_machine_and_of_the_piece_are_not_tried_again() -> None:
    here, there = file_system("/")[0], file_system("memory://x")[0]
    uses = 0

    def fails(error: Exception) -> Callable[[], None]:
        def use() -> None:
            nonlocal uses
            uses += 1
            raise error

        return use

    for files, error in (
        (here, TimeoutError("late")),
        (there, FileNotFoundError("x")),
        (there, PermissionError("x")),
        (there, ValueError("x")),
        (there, OSError(28, "No space left on device")),
    ):
        with pytest.raises(type(error)):
            patiently(fails(error), files, PATIENCE)
    assert uses == 5
