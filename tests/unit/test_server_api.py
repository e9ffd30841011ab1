"""The JSON API of the search UI, over rows in memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.serving_worlds import ATTACK, BIG, EDIT, KEYS, RUN, Words, World, make_world
from vdbcluster.errors import BackendUnavailableError, LockedError


@pytest.fixture
def world() -> World:
    return make_world()


def get(world: World, path: str, **params: Any) -> Any:
    answer = world.client().get(path, params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def test_the_collection_says_what_is_served(world: World) -> None:
    found = get(world, "/api/collection")
    assert (found["collection"], found["rows"], found["key_type"]) == ("news", len(KEYS), "INT64")
    assert (found["text_field"], found["metric"]) == ("text", "COSINE")
    assert found["run"] == {"id": RUN, "at": "2026-03-01T03:00:00.000000+00:00"}
    assert found["search"] == {"available": True, "reason": "", "embedder": "words"}
    assert (found["editable"], found["map"], found["login"]) == (False, True, False)
    assert set(found["shown_fields"]) == {"year", "odd"}


def test_clusters_are_listed_pinned_first_without_hidden_and_retired(world: World) -> None:
    found = get(world, "/api/clusters")
    assert [c["id"] for c in found["clusters"]] == [7, 0]
    assert (found["run_id"], found["noise"]) == (RUN, 2)
    seven, zero = found["clusters"]
    assert (seven["title"], zero["title"]) == ("seven, late", ATTACK)
    assert seven["medoid"] == {"key": "5", "text": "text 5"}
    assert all(color.startswith("#") for color in seven["color"])
    assert [c["id"] for c in get(world, "/api/clusters", hidden=True)["clusters"]] == [7, 0, 8]
    assert [c["id"] for c in get(world, "/api/clusters", q="LATE")["clusters"]] == [7]
    for sort in ("size", "name", "stability", "id", "interest"):
        ids = [c["id"] for c in get(world, "/api/clusters", sort=sort, hidden=True)["clusters"]]
        assert ids[0] == 7
        assert sorted(ids) == [0, 7, 8]


def test_one_cluster_has_its_rows_and_those_like_it(world: World) -> None:
    found = get(world, "/api/clusters/7")
    assert (found["size"], found["state"], found["card"]) == (3, "live", None)
    assert found["exemplars"] == [{"key": "5", "text": "text 5"}]
    assert [near["id"] for near in found["similar"]] == [8, 0]
    near = get(world, "/api/clusters/7/similar")["clusters"]
    assert [one["id"] for one in near] == [0]  # 8 is hidden
    assert all(-1 <= one["cosine"] <= 1 for one in near)
    first = get(world, "/api/clusters/7/rows", limit=2)
    assert [row["key"] for row in first["rows"]] == ["5", "6"]
    rest = get(world, "/api/clusters/7/rows", limit=2, after=first["after"])
    assert ([row["key"] for row in rest["rows"]], rest["after"]) == (["7"], None)
    assert get(world, "/api/clusters/3")["state"] == "retired"


def test_a_search_is_narrowed_and_counts_clusters_without_it(world: World) -> None:
    found = get(world, "/api/search", q="seven", limit=4)
    assert {row["key"] for row in found["rows"][:3]} == {"5", "6", "7"}
    assert found["facets"][0]["count"] == 4
    assert {facet["id"] for facet in found["facets"]} == {0, 7}
    assert found["facet_rows"] == len(KEYS)
    narrow = get(world, "/api/search", q="seven", cluster=[0, -1])
    assert {row["cluster"]["id"] for row in narrow["rows"]} == {0, -1}
    assert len(narrow["rows"]) == 6
    assert narrow["facets"] == found["facets"]
    scores = [row["score"] for row in narrow["rows"]]
    assert scores == sorted(scores, reverse=True)
    zero = get(world, "/api/search", q="seven", cluster=0)["rows"]
    assert get(world, "/api/search", q="seven", cluster=0, offset=3)["rows"] == zero[3:]


def test_without_a_text_rows_come_by_key(world: World) -> None:
    found = get(world, "/api/search", filter="id < 4")
    assert [row["key"] for row in found["rows"]] == ["1", "2", "3"]
    assert (found["facets"], found["facet_rows"]) == ([], 0)
    assert [r["key"] for r in get(world, "/api/search", offset=8)["rows"]] == [
        str(key) for key in KEYS[8:]
    ]
    assert get(world, "/api/search", offset=10)["rows"] == []
    assert get(world, "/api/search", assignment="noise")["rows"][0]["cluster"]["title"] == "noise"
    assert world.embedder.asked == []


def test_keys_beyond_what_browsers_count_survive(world: World) -> None:
    row = get(world, f"/api/rows/{BIG}")
    assert row["key"] == str(BIG) == "9007199254740993"
    assert get(world, "/api/row", key=KEYS[-1])["key"] == str(KEYS[-1])
    near = get(world, f"/api/rows/{BIG}/similar", limit=3)["rows"]
    assert str(BIG) not in {one["key"] for one in near}
    assert get(world, "/api/row/similar", key=BIG, limit=3)["rows"] == near


def test_a_row_has_all_its_fields_and_no_nan(world: World) -> None:
    row = get(world, "/api/rows/5")
    assert row["cluster"] == {"id": 7, "title": "seven, late"}
    assert row["fields"] == {"year": 2004, "odd": None}
    assert (row["run_id"], row["assignment"], row["duplicate_of"]) == (RUN, "core", None)
    assert get(world, f"/api/rows/{KEYS[-1]}")["cluster"] is None


def test_duplicates_stand_beside_the_row_that_is_kept(world: World) -> None:
    found = get(world, "/api/duplicates")
    assert (found["marked"], found["after"]) == (True, None)
    (group,) = found["groups"]
    assert group["kept"]["key"] == "1"
    assert [row["key"] for row in group["copies"]] == ["2", "3"]
    first = get(world, "/api/duplicates", limit=1)
    second = get(world, "/api/duplicates", limit=1, after=first["after"])
    assert [second["groups"][0]["copies"][0]["key"], second["after"]] == ["3", None]


def test_noise_is_paged(world: World) -> None:
    found = get(world, "/api/noise", limit=1)
    assert ([row["key"] for row in found["rows"]], found["after"]) == (["8"], "8")
    rest = get(world, "/api/noise", limit=1, after="8")
    assert ([row["key"] for row in rest["rows"]], rest["after"]) == ([str(BIG)], None)


def test_the_map_has_the_places_of_its_run_and_follows_merges(world: World) -> None:
    found = get(world, "/api/map")
    columns = [found[name] for name in ("keys", "x", "y", "labels")]
    assert {len(column) for column in columns} == {len(KEYS) - 1}  # one row has no place
    assert (found["run_id"], found["rows"]) == (RUN, len(KEYS) - 1)
    at = found["keys"].index("5")
    assert (found["x"][at], found["y"][at], found["labels"][at]) == (8, 9, 7)
    assert {c["id"] for c in found["clusters"]} == {0, 7}
    client = world.client(edits=True)
    assert client.post("/api/clusters/7/merge", json={"into": 0}, headers=EDIT).status_code == 200
    assert client.get("/api/map").json()["labels"][at] == 0


def test_a_cluster_that_the_catalogue_lacks_has_its_number(world: World) -> None:
    world.held.cluster_id[0] = 99
    assert get(world, "/api/rows/1")["cluster"] == {"id": 99, "title": "cluster 99"}
    assert get(world, "/api/clusters/99/rows")["rows"][0]["key"] == "1"
    assert world.client().get("/api/clusters/99").status_code == 404


def test_without_a_catalogue_rows_are_served_all_the_same(world: World) -> None:
    world.catalogue.remove()
    found = get(world, "/api/clusters")
    assert (found["run_id"], found["clusters"], found["noise"]) == (None, [], 2)
    assert get(world, "/api/collection")["run"] is None
    assert (
        get(world, "/api/search", q="zero", limit=1)["rows"][0]["cluster"]["title"] == "cluster 0"
    )


def test_a_model_that_does_not_fit_is_told_and_nothing_else_fails() -> None:
    world = make_world(Words(dim=5))
    state = get(world, "/api/collection")["search"]
    assert not state["available"]
    assert "gives 5 values and 'vector' holds 3" in state["reason"]
    answer = world.client().get("/api/search", params={"q": "seven"})
    assert answer.status_code == 409
    assert "5 values" in answer.json()["error"]
    assert len(get(world, "/api/search")["rows"]) == len(KEYS)


def test_a_text_is_embedded_once(world: World) -> None:
    for _ in range(3):
        get(world, "/api/search", q="seven")
    assert world.embedder.asked.count("seven") == 1


def test_people_edit_several_things_in_one_step(world: World) -> None:
    client = world.client(edits=True)
    news = {"name": "Late <b>parcels</b>", "keywords": ["a", "b"], "pinned": False, "hidden": True}
    answer = client.patch("/api/clusters/7", json=news, headers=EDIT)
    assert answer.status_code == 200
    changed = answer.json()
    assert {name: changed[name] for name in news} == news
    held = world.catalogue.read()
    assert held is not None
    seven = held.get(7)
    assert seven is not None
    assert (seven.name, seven.keywords, seven.hidden) == ("Late <b>parcels</b>", ("a", "b"), True)
    assert [c["id"] for c in client.get("/api/clusters").json()["clusters"]] == [0]
    for wrong in ({"name": "two\nlines"}, {}, {"name": 5}, {"nam": "x"}, {"keywords": [""]}, []):
        assert client.patch("/api/clusters/7", json=wrong, headers=EDIT).status_code == 400, wrong
    assert client.patch("/api/clusters/3", json=news, headers=EDIT).status_code == 400  # retired


def test_merged_clusters_are_listed_and_taken_out_again(world: World) -> None:
    client = world.client(edits=True)
    done = client.post("/api/clusters/7/merge", json={"into": 0}, headers=EDIT).json()
    assert (done["written"], done["cluster"]["id"], done["cluster"]["size"]) == (3, 0, 7)
    assert world.merged == [(7, 0)]
    every = client.get("/api/clusters", params={"hidden": True}).json()["clusters"]
    merged = next(c for c in every if c["id"] == 7)
    assert (merged["state"], merged["merged_into"], every[-1]["id"]) == ("merged", 0, 7)
    assert client.post("/api/clusters/7/unmerge", json={}, headers=EDIT).json()["state"] == "live"
    for wrong in ({"into": 7}, {"into": 3}, {"into": 99}, {"into": "0"}, {"into": -1}, {}):
        answer = client.post("/api/clusters/7/merge", json=wrong, headers=EDIT)
        assert answer.status_code == 400, wrong


def test_trouble_of_the_database_is_one_line_and_passes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, client = world.services.browser.live, world.client(edits=True)

    def away(*_: object, **__: object) -> None:
        raise BackendUnavailableError("the server\ncannot be reached")

    with monkeypatch.context() as broken:
        broken.setattr(live, "page", away)
        answer = client.get("/api/noise")
        assert answer.status_code == 503
        assert answer.json() == {"error": "the server cannot be reached"}
        assert world.warned == ["the server\ncannot be reached"]
    assert client.get("/api/noise").status_code == 200

    def failing(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret")

    with monkeypatch.context() as broken:
        broken.setattr(live, "page", failing)
        answer = client.get("/api/noise")
        assert (answer.status_code, "secret" in answer.text) == (500, False)

    def locked(*_: object) -> None:
        raise LockedError("another run writes")

    assert world.services.editing is not None
    object.__setattr__(world.services.editing, "merge", locked)
    answer = client.post("/api/clusters/7/merge", json={"into": 0}, headers=EDIT)
    assert (answer.status_code, answer.json()) == (409, {"error": "another run writes"})


def test_the_api_is_described(world: World) -> None:
    client = world.client()
    described = client.get("/api/openapi.json").json()
    for path in ("/api/search", "/api/clusters/{id}", "/api/map", "/api/row", "/api/duplicates"):
        assert path in described["paths"]
    assert described["components"]["schemas"]["Row"]["properties"]["key"]["examples"] == ["4711"]
    page = client.get("/api/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "/api/search" in page.text
    assert "<script" not in page.text
    assert "//" not in page.text.replace("http://127.0.0.1", "")
    json.dumps(described)
