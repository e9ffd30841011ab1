"""``LiveCollection``: labelled rows searched and browsed, in memory and on every backend."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymilvus import MilvusClient

from tests import backends
from tests.backends import Backend
from tests.contract.live_worlds import MemoryWorld, MilvusWorld, World, labels_of, shape_of
from tests.contract.making import connection_to
from vdbcluster.adapters.milvus import live as module
from vdbcluster.errors import UsageError
from vdbcluster.model.live import Chosen, LiveRow
from vdbcluster.ports.live import LiveCollection, NoRowError

PLACES = (
    "memory",
    "lite-file/lite-merge",
    "lite-file/side-collection",
    "lite-server/lite-merge",
    "lite-server/side-collection",
    pytest.param("server-2.3.5/guarded-upsert", marks=[pytest.mark.server, pytest.mark.slow]),
    pytest.param("server-2.3.5/side-collection", marks=pytest.mark.server),
)
KINDS = ("INT64", "VARCHAR")
METRICS = {"INT64": "L2", "VARCHAR": "COSINE"}
REAL = backends.REAL_SERVER
Made = Callable[[str], World]
NAMES = ("n", "text")


@pytest.fixture(scope="module", params=PLACES)
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Made]:
    """Makes a labelled world of a kind of key, once: nothing here writes to it."""
    place, _, way = str(request.param).partition("/")
    worlds: dict[str, World] = {}
    with ExitStack() as stack:

        def of(kind: str) -> World:
            if kind not in worlds:
                worlds[kind] = make_world(kind)
                worlds[kind].write()
            return worlds[kind]

        if place == "memory":
            make_world: Made = lambda kind: MemoryWorld(shape_of(kind, METRICS[kind]))  # noqa: E731
        else:
            folder = tmp_path_factory.mktemp("live")
            backend = stack.enter_context(_backend(place, request, folder))
            client = stack.enter_context(backends.connected(backend))
            connection = stack.enter_context(connection_to(backend))
            stem = f"t_live_{uuid.uuid4().hex[:8]}"

            def make_world(kind: str) -> World:
                shape = shape_of(kind, METRICS[kind])
                return MilvusWorld(shape, client, connection, f"{stem}_{kind}", way)  # type: ignore[arg-type]

            stack.callback(_drop, client, stem)
        yield of


@contextmanager
def _backend(place: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Backend]:
    if place == backends.LITE_FILE:
        with backends.lite_file(folder) as found:
            yield found
        return
    yield request.getfixturevalue("real_server" if place == REAL else "lite_server")


def _drop(client: MilvusClient, stem: str) -> None:
    for name in client.list_collections():
        if name.startswith(stem):
            client.drop_collection(name)


def measured(world: World, query: np.ndarray) -> np.ndarray:
    """The score that every row is to have."""
    if world.shape.metric == "L2":
        return np.linalg.norm(world.shape.vectors - query, axis=1)
    return world.shape.vectors @ (query / np.linalg.norm(query))


def expected(world: World, chosen: Chosen, below: int | None = None) -> dict[Any, tuple[int, Any]]:
    """Key to number and cluster of the rows that are chosen."""
    batch, numbers = labels_of(world.shape)
    cluster = dict(zip(numbers.tolist(), batch.cluster_id.tolist(), strict=True))
    way = dict(zip(numbers.tolist(), batch.assignment.tolist(), strict=True))
    assert batch.duplicate_of is not None
    copy = dict(zip(numbers.tolist(), batch.duplicate_of.tolist(), strict=True))
    return {
        key: (i, cluster.get(i))
        for i, key in enumerate(world.shape.keys)
        if (not chosen.clusters or cluster.get(i, -9) in chosen.clusters)
        and (not chosen.assignment or way.get(i) == chosen.assignment)
        and (not chosen.copies or copy.get(i))
        and (below is None or i < below)
    }


def all_pages(
    live: LiveCollection, chosen: Chosen, names: tuple[str, ...] = NAMES, step: int = 7
) -> list[LiveRow]:
    found: list[LiveRow] = []
    after = None
    while True:
        page = live.page(chosen, names, step, after)
        found += page.rows
        if not page.more:
            return found
        after = page.rows[-1].key


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_paged_by_key_and_chosen_by_their_labels(made: Made, kind: str) -> None:
    world = made(kind)
    live = world.live()
    for chosen in (
        Chosen(),
        Chosen(clusters=(1,)),
        Chosen(clusters=(-1,)),
        Chosen(clusters=(0, 2)),
        Chosen(clusters=(0, -1)),
        Chosen(clusters=(77,)),
        Chosen(assignment="soft"),
        Chosen(clusters=(1,), assignment="core"),
        Chosen(copies=True),
    ):
        rows, wanted = all_pages(live, chosen), expected(world, chosen)
        assert [row.key for row in rows] == sorted(wanted), chosen
        assert live.count(chosen) == len(wanted), chosen
        for row in rows:
            number, cluster = wanted[row.key]
            assert row.fields == {"n": number, "text": f"text-{number}"}
            assert (row.label.cluster if row.label else None) == cluster
    batch, _ = labels_of(world.shape)
    row = next(r for r in all_pages(live, Chosen(clusters=(2,))) if r.fields["n"] != 3)
    assert row.label is not None
    assert row.label.run_id == batch.run_ids[0]
    assert row.label.duplicate_of == str(world.shape.keys[3])
    assert (row.label.probability, row.label.outlier_score) == (0.5, 0.25)


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_is_narrowed_to_clusters_by_the_search_itself(made: Made, kind: str) -> None:
    world = made(kind)
    live, shape = world.live(), world.shape
    query = shape.vectors[5] + np.float32(0.01)
    scores = measured(world, query)
    far = scores if shape.metric == "L2" else -scores
    for chosen in (Chosen(), Chosen(clusters=(2,)), Chosen(clusters=(-1, 0))):
        wanted = expected(world, chosen)
        order = sorted(wanted, key=lambda key: far[wanted[key][0]])
        rows = live.search(query, chosen, NAMES, 9)
        assert [row.key for row in rows] == order[:9], chosen
        assert [row.score for row in rows] == pytest.approx(
            [scores[wanted[key][0]] for key in order[:9]], abs=1e-3
        )
        assert [row.label.cluster if row.label else None for row in rows] == [
            wanted[key][1] for key in order[:9]
        ]
        later = live.search(query, chosen, (), 4, offset=6)
        assert [row.key for row in later] == order[6:10]
        assert [row.key for row in live.search(query, chosen, (), 200)] == order
    assert live.search(query, Chosen(clusters=(77,)), (), 5) == ()
    labels = live.labels_near(query, "", 50)
    every = sorted(range(len(shape.keys)), key=lambda i: far[i])[:50]
    clusters = expected(world, Chosen())
    assert [label.cluster if label else None for label in labels] == [
        clusters[shape.keys[i]][1] for i in every
    ]


@pytest.mark.parametrize("many", [0, 10**9])
@pytest.mark.parametrize("kind", KINDS)
def test_clusters_of_any_size_are_searched_in_pieces_or_from_the_nearest_on(
    made: Made, kind: str, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE", 7)
    monkeypatch.setattr(module, "MANY", many)
    monkeypatch.setattr(module, "WIDE", 3)
    world = made(kind)
    live, scores = world.live(), measured(world, world.shape.vectors[8])
    sign = 1 if world.shape.metric == "L2" else -1
    wanted = expected(world, Chosen(clusters=(0, 1)))
    order = sorted(wanted, key=lambda key: sign * scores[wanted[key][0]])
    for limit, offset in ((1, 0), (5, 0), (5, 4), (99, 0)):
        found = live.search(world.shape.vectors[8], Chosen(clusters=(0, 1)), (), limit, offset)
        assert [row.key for row in found] == order[offset : offset + limit]


def test_what_is_served_is_the_selection_alone(made: Made) -> None:
    world = made("VARCHAR")
    live = world.live(below=30, partitions=("p1", "p2"))
    inside = {
        key: found
        for key, found in expected(world, Chosen(), below=30).items()
        if found[0] % 3 in (1, 2)
    }
    assert [row.key for row in all_pages(live, Chosen(), step=4)] == sorted(inside)
    mine = [key for key, (_, cluster) in inside.items() if cluster == 1]
    assert [row.key for row in all_pages(live, Chosen(clusters=(1,)))] == sorted(mine)
    found = live.search(world.shape.vectors[0], Chosen(clusters=(1,)), (), 100)
    assert {row.key for row in found} == set(mine)
    assert live.count(Chosen()) == len(inside)
    assert live.count(Chosen(clusters=(1,))) == len(mine)
    assert len(live.labels_near(world.shape.vectors[0], "", 500)) == len(inside)
    outside = next(key for key in world.shape.keys if key not in inside)
    assert live.rows([outside, mine[0]], ()).keys() == {mine[0]}
    for ask in (live.whole, live.vector):
        with pytest.raises(NoRowError, match="no row"):
            ask(outside)


def test_a_filter_narrows_what_is_chosen(made: Made) -> None:
    world = made("INT64")
    live = world.live()
    narrow = Chosen(clusters=(1, 2), where="n < 20")
    wanted = expected(world, Chosen(clusters=(1, 2)), below=20)
    assert [row.key for row in all_pages(live, narrow)] == sorted(wanted)
    assert {r.key for r in live.search(world.shape.vectors[0], narrow, (), 99)} == set(wanted)
    assert live.count(narrow) == len(wanted)
    assert len(live.labels_near(world.shape.vectors[0], "n < 20", 99)) == 20
    for text in ("n <", "n < 20) or (n >= 0"):
        for ask in (
            lambda text=text: live.page(Chosen(clusters=(1,), where=text), (), 5),
            lambda text=text: live.labels_near(world.shape.vectors[0], text, 5),
        ):
            with pytest.raises(UsageError, match="filter"):
                ask()


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_found_by_key_whatever_it_holds(made: Made, kind: str) -> None:
    world = made(kind)
    live, shape = world.live(), world.shape
    found = live.rows(shape.keys, ("n",))
    assert {key: row.fields["n"] for key, row in found.items()} == {
        key: i for i, key in enumerate(shape.keys)
    }
    for i in (0, 2, 4, 9, len(shape.keys) - 1):
        row = live.whole(shape.keys[i])
        assert row.fields["text"] == f"text-{i}"
        assert row.fields.get("extra") == (i if i % 2 == 0 else None)
        assert (row.label is None) == (i % 10 == 9)
        assert not any(name.startswith("cluster_") for name in row.fields)
        assert live.vector(shape.keys[i]) == pytest.approx(shape.vectors[i])
    absent: Any = 7_777_777 if kind == "INT64" else "absent"
    with pytest.raises(NoRowError, match="no row"):
        live.whole(absent)
    assert live.rows([absent], ()) == {}
    assert live.profile().key.type == kind
    assert live.labels_in
