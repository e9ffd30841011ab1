"""A secret given in every way is in no output, file, collection or list of processes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from pymilvus import MilvusClient

from tests import zoo
from tests.backends import Backend, connected
from tests.emulation import Proxy
from tests.faults.commands import argv, environment, vdbcluster

CANARY = "canary-4711"
HOOK = f"http://user:{CANARY}-hook@127.0.0.1:9/{CANARY}-path?key={CANARY}-query"
SAID = {
    "VDBCLUSTER__MILVUS__TOKEN": f"root:{CANARY}-token",
    "VDBCLUSTER__EMBED__API_KEY": f"{CANARY}-key",
    "VDBCLUSTER__EMBED__BASE_URL": f"http://user:{CANARY}-base@127.0.0.1:9/v1",
    "VDBCLUSTER__CHAT__API_KEY": f"{CANARY}-chat-key",
    "VDBCLUSTER__CHAT__BASE_URL": f"http://user:{CANARY}-chat-base@127.0.0.1:9/v1",
    "VDBCLUSTER__TELEMETRY__WEBHOOK": HOOK,
    "VDBCLUSTER__TELEMETRY__PUSHGATEWAY": HOOK,
    "VDBCLUSTER__TELEMETRY__WEBHOOK_ON": '["done", "refused", "failed"]',
}
"""All that can be secret. Nobody listens at these addresses, so each is told as a failure."""


class World:
    """A collection on a Lite server, which takes any token, and what commands have said so far."""

    def __init__(self, client: MilvusClient, proxy: Proxy, name: str, home: Path) -> None:
        self.client, self.proxy, self.name, self.home = client, proxy, name, home
        self.address = proxy.backend.uri.replace("http://", f"http://root:{CANARY}-uri@")
        self.said: list[str] = []
        zoo.build(client, name, zoo.by_name("plain-int"), rows=120)

    def does(self, code: int, *arguments: str, **more: str) -> str:
        """A command ends with this code; its standard error, which is kept as well."""
        done = vdbcluster(self.home, *arguments, **(SAID | more))
        self.said += [done.stdout, done.stderr]
        assert done.returncode == code, done.stderr
        return done.stderr

    def leaks(self) -> list[str]:
        """Where the secret can be read."""
        found = [text for text in self.said if CANARY in text]
        files = (path for path in self.home.rglob("*") if path.is_file())
        found += [str(path) for path in files if CANARY.encode() in path.read_bytes()]
        return found + [text for text in self._collections() if CANARY in text]

    def _collections(self) -> list[str]:
        told: list[Any] = []
        for name in self.client.list_collections():
            if name.startswith(self.name):
                self.client.load_collection(name)
                told += [name, self.client.describe_collection(name)]
                told += self.client.query(name, "", output_fields=["*"], limit=1000)
        return [str(one) for one in told]


@pytest.fixture
def world(
    proxied: Callable[[Backend], Proxy], lite_server: Backend, collection_name: str, tmp_path: Path
) -> Any:
    with connected(lite_server) as client:
        yield World(client, proxied(lite_server), collection_name, tmp_path)
        for name in client.list_collections():
            if name.startswith(collection_name):
                for alias in client.list_aliases(name).get("aliases", []):
                    client.drop_alias(alias)
                client.drop_collection(name)


@pytest.mark.slow
def test_commands_that_succeed_and_fail_keep_it(world: World) -> None:
    run = ("run", f"--uri={world.address}", f"--collection={world.name}")
    quick = ("--min-cluster-size=10", "--resamples=0")
    world.does(0, *run, *quick, "-v", "--log-format=json")
    assert len(world.client.list_collections()) > 1
    run_id = next(path.parent.name for path in world.home.rglob("manifest.json"))
    world.does(0, "runs", "show", run_id)
    world.does(4, *run, "--filter=pk > 100000000", "-v")
    world.does(2, "run", f"--uri=ftp://user:{CANARY}@host", "-c", "docs", "-v")
    world.does(2, "run", "-c", "docs", VDBCLUSTER__MILVUS=f'["{CANARY}"]')
    world.does(2, "run", "-c", "docs", VDBCLUSTER__MILVUS=f'{{"token": ["{CANARY}"]}}')
    assert world.leaks() == []


@pytest.mark.slow
def test_servers_that_refuse_or_do_not_answer(world: World) -> None:
    wrong = "auth check failure, please check username and password are correct"
    world.proxy.fail_next("Connect", grpc.StatusCode.UNAUTHENTICATED, wrong, times=10**6)
    where = (f"--collection={world.name}", "-v")
    told = world.does(2, "run", f"--uri={world.address}", *where)
    assert "the server refused the token; check --token" in told
    world.does(1, "inspect", f"--uri=http://root:{CANARY}-uri@127.0.0.1:9", *where)
    rows = world.home / "rows.jsonl"
    rows.write_text('{"text": "one"}\n{"text": "two"}\n')
    world.proxy.mend()
    ingest = ("ingest", str(rows), f"--uri={world.address}", "--text-field=text")
    world.does(1, *ingest, f"--collection={world.name}_new", "-v", "--embed-attempts=1")
    assert world.leaks() == []


def test_a_secret_argument_leaves_the_list_of_processes(world: World) -> None:
    with subprocess.Popen(
        argv(
            "run",
            "--token",
            f"root:{CANARY}-token",
            f"--uri={world.address}",
            f"--collection={world.name}",
            "--dry-run",
            f"--webhook={HOOK}",
        ),
        cwd=world.home,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        shown = Path(f"/proc/{process.pid}/cmdline").read_text()
        output, told = process.communicate(timeout=240)

    assert "Clustering" in first
    assert f"--collection={world.name}" in shown
    assert CANARY not in shown
    assert process.returncode == 0, told
    assert CANARY not in output + told
