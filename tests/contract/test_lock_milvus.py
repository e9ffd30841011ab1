"""The lock on a server where calls fail, answers get lost, and users may not do everything."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import grpc
import pytest

from tests import backends
from tests.backends import Backend
from tests.contract.lock_worlds import PREFIX, Child, MilvusWorld, until
from tests.emulation import Proxy, in_front_of
from vdbcluster.adapters.milvus.lease import NoLeaseError
from vdbcluster.adapters.milvus.lease_entries import Entries, stem_of
from vdbcluster.adapters.processes import this_process
from vdbcluster.errors import LockedError

ALWAYS = 10**6


@dataclass
class Near:
    """``world`` goes through the proxy, ``other`` does not."""

    proxy: Proxy
    world: MilvusWorld
    other: MilvusWorld


@pytest.fixture
def near(lite_server: Backend, collection_name: str) -> Iterator[Near]:
    with in_front_of(lite_server) as proxy:
        world = MilvusWorld(proxy.backend.uri, collection_name)
        other = MilvusWorld(lite_server.uri, collection_name)
        yield Near(proxy, world, other)
        assert proxy.errors == []
        proxy.mend()
        world.close()
        assert other.left() == []
        other.close()


@pytest.mark.parametrize(
    "method", ["CreateCollection", "ShowCollections", "RenameCollection", "DropCollection"]
)
def test_a_lost_answer_does_no_harm(near: Near, method: str) -> None:
    near.proxy.cut_after(method)
    mender = threading.Timer(0.5, near.proxy.mend)
    mender.start()

    with near.world.lock().held("run-1") as lease:
        lease.check()
        with pytest.raises(LockedError), near.other.lock().held("run-2"):
            pass

    mender.join()
    assert near.other.left() == []


def test_one_whose_server_was_away_goes_on(near: Near) -> None:
    with near.world.lock(lease=2.0).held("run-1") as lease:
        near.proxy.cut_after("RenameCollection")
        until(lambda: near.proxy.gone, "a renewal that fails")
        threading.Timer(2.5, near.proxy.mend).start()
        threading.Event().wait(1.5)
        lease.check()
        assert not near.proxy.gone, "checked without asking a server that had to be asked"
        with pytest.raises(LockedError), near.other.lock().held("run-2"):
            pass


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "PrivilegeCreateCollection: permission deny"),
        (65535, "exceeded the limit number of collections"),
    ],
)
def test_where_no_collection_can_be_made_there_is_no_lock(
    near: Near, code: int | grpc.StatusCode, said: str
) -> None:
    near.proxy.fail_next("CreateCollection", code, said, times=ALWAYS)
    with pytest.raises(NoLeaseError, match=said):
        near.world.lock().held("run-1").__enter__()


def test_one_who_may_not_rename_renews_by_another_collection(
    near: Near, lite_server: Backend
) -> None:
    denied = (grpc.StatusCode.PERMISSION_DENIED, "PrivilegeRenameCollection: permission deny")
    near.proxy.fail_next("RenameCollection", *denied, times=ALWAYS)
    with near.world.lock(lease=8.0).held("run-1") as lease:
        made = near.proxy.calls["CreateCollection"]
        until(lambda: near.proxy.calls["CreateCollection"] >= made + 2, "two renewals")
        lease.check()
        with pytest.raises(LockedError), near.other.lock().held("run-2"):
            pass
        until(lambda: len(near.other.left()) == 1, "the last entry alone")


def test_one_who_may_not_rename_follows_a_dead_one(near: Near, lite_server: Backend) -> None:
    near.proxy.fail_next("RenameCollection", 65535, "not supported", times=ALWAYS)
    child = Child("milvus", lite_server.uri, near.world.name, lease=1.0, elsewhere=True)
    with child:
        child.held().kill()
        with near.world.lock(wait=backends.START_SECONDS).held("next") as lease:
            lease.check()


@pytest.mark.parametrize("living", [False, True])
def test_one_who_may_not_drop_does_without_unless_somebody_lives(near: Near, living: bool) -> None:
    dead = replace(this_process("dead", 60.0), started=1)  # no process has started so early
    denied = (grpc.StatusCode.PERMISSION_DENIED, "PrivilegeDropCollection: permission deny")
    near.proxy.fail_next("DropCollection", *denied, times=ALWAYS)
    with ExitStack() as stack:
        if living:
            stack.enter_context(near.other.lock().held("living"))
        Entries(near.other.milvus, stem_of(near.other.name, PREFIX)).create(dead)
        with pytest.raises(LockedError if living else NoLeaseError):
            near.world.lock().held("run-1").__enter__()
    with near.other.lock().held("sweeper"):
        assert len(near.other.left()) == 1
