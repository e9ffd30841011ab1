"""The search UI under attack: pages of other sites, wrong tokens, names, sizes and texts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.serving_worlds import ATTACK, EDIT, KEYS, TOKEN, World, make_world
from vdbcluster.server.access import TRIES, Access, host_of
from vdbcluster.server.security import MAX_BODY

READS = (
    "/api/collection",
    "/api/clusters",
    "/api/clusters/7",
    "/api/clusters/7/rows",
    "/api/search?q=seven",
    "/api/rows/1",
    "/api/map",
    "/api/docs",
    "/api/openapi.json",
)


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.fixture(scope="module")
def calm() -> World:
    """For tests that change nothing."""
    return make_world()


def test_script_in_texts_stays_text(calm: World) -> None:
    for path in (f"/api/rows/{KEYS[-1]}", "/api/clusters/0", "/api/clusters"):
        answer = calm.client().get(path)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert ATTACK in json.dumps(answer.json(), ensure_ascii=False).replace('\\"', '"')


@pytest.mark.parametrize("path", ["/", "/api/clusters", "/api/none", "/assets/none.js", "/api/map"])
def test_every_answer_has_the_headers(calm: World, path: str) -> None:
    headers = calm.client().get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == (
        "nosniff",
        "no-referrer",
    )
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers
    if path.startswith("/api"):
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "localhost.evil", "[::2]",
     "127.0.0.1:8080:9", "10.0.0.5", "127.0.0.1@evil.example"],
)  # fmt: skip
def test_a_foreign_name_is_answered_nothing(calm: World, host: str) -> None:
    for path in ("/", "/api/clusters", "/api/health"):
        answer = calm.client().get(path, headers={"host": host})
        assert answer.status_code == 400
        assert "clusters" not in answer.json()


def test_names_that_are_allowed(calm: World) -> None:
    for host in ("localhost", "LOCALHOST:80", "[::1]:8080", "127.0.0.1"):
        assert calm.client().get("/api/health", headers={"host": host}).status_code == 200
    named = calm.client(names=("search.example",))
    assert named.get("/api/health", headers={"host": "Search.Example:443"}).status_code == 200
    # On an address that others reach, a number cannot have been made to point here.
    for host in ("127.0.0.2", "Search.local", "::1"):  # the name that it was started by
        assert Access(host, TOKEN).answers_to(f"[{host}]:80" if ":" in host else f"{host}:80")
    assert not Access("", TOKEN).answers_to("")
    open_to_all = Access("0.0.0.0", TOKEN)
    assert open_to_all.answers_to("10.0.0.5:8080")
    assert not open_to_all.answers_to("evil.example")
    assert host_of("[fe80::1]:8080") == "fe80::1"


def test_without_the_token_there_is_the_page_alone(world: World) -> None:
    client = world.client(token=TOKEN)
    for path in READS:
        answer = client.get(path)
        assert answer.status_code == 401, path
        assert list(answer.json()) == ["error"]
    assert client.get("/api/health").json() == {"ok": True}
    assert client.get("/").status_code in (200, 404)  # the page itself
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert client.get("/api/clusters", headers=bearer).status_code == 200
    assert client.get("/api/collection", headers=bearer).json()["login"] is True
    for wrong in ("Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x", TOKEN, "Bearer r%c3%a4t"):
        assert client.get("/api/clusters", headers={"authorization": wrong}).status_code == 401


def test_a_login_is_a_cookie_that_scripts_and_other_sites_do_not_see(world: World) -> None:
    client = world.client(token=TOKEN)
    assert client.post("/api/login", json={"token": "wrong"}).status_code == 401
    answer = client.post("/api/login", json={"token": TOKEN})
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert client.get("/api/clusters").status_code == 200
    name, value = next(iter(client.cookies.items()))
    until, _, signature = value.partition(".")
    client.cookies.clear()
    for forged in ("", "x", f"{int(until) + 1}.{signature}", f"{until}.", f"{until}.{'0' * 64}"):
        answer = client.get("/api/clusters", headers={"cookie": f"{name}={forged}"})
        assert answer.status_code == 401, forged
    assert client.get("/api/clusters", headers={"cookie": f"{name}={value}"}).status_code == 200
    other = make_world().client(token="another")
    assert other.get("/api/clusters", headers={"cookie": f"{name}={value}"}).status_code == 401


@pytest.mark.parametrize("other", ['x={"a":1}', "a b", "k[1]=2", 'open="x', "a,b=2"])
def test_cookies_of_other_servers_end_no_session(calm: World, other: str) -> None:
    client = calm.client(token=TOKEN)
    client.post("/api/login", json={"token": TOKEN})
    name, value = next(iter(client.cookies.items()))
    client.cookies.clear()
    for cookies in (f"{other}; {name}={value}", f"{name}={value}; {other}"):
        assert client.get("/api/clusters", headers={"cookie": cookies}).status_code == 200


def test_sessions_end() -> None:
    now = [1_000_000.0]
    access = Access(token=TOKEN, clock=lambda: now[0])
    session = access.session()
    assert access.in_session(session)
    now[0] += 8 * 24 * 3600
    assert not access.in_session(session)


@pytest.mark.parametrize("by", ["login", "bearer"])
def test_wrong_tokens_are_tried_a_few_times_only(world: World, by: str) -> None:
    client = world.client(token=TOKEN)

    def attempt(token: str) -> int:
        if by == "login":
            return client.post("/api/login", json={"token": token}).status_code
        headers = {"authorization": f"Bearer {token}"}
        return client.get("/api/clusters", headers=headers).status_code

    assert [attempt(f"wrong {i}") for i in range(TRIES)] == [401] * TRIES
    assert attempt("wrong") == 429
    assert attempt(TOKEN) == 429  # nor is the right one told from the others now


def test_tries_come_back_and_are_counted_by_address() -> None:
    now = [0.0]
    access = Access(token=TOKEN, clock=lambda: now[0])
    for _ in range(TRIES):
        access.tried_in_vain("a")
    assert (access.may_try("a"), access.may_try("b")) == (False, True)
    now[0] += 61
    assert access.may_try("a")


CROSS = (
    ({"origin": "http://evil.example"}, 403),
    ({"origin": "http://127.0.0.1:9999"}, 403),
    ({"origin": "null"}, 403),
    ({"sec-fetch-site": "cross-site"}, 403),
    ({"sec-fetch-site": "same-site"}, 403),
    ({"x-vdbcluster": "no"}, 403),
    ({"content-type": "application/x-www-form-urlencoded"}, 415),
    ({"content-type": "text/plain"}, 415),
    ({"content-type": "multipart/form-data; boundary=x"}, 415),
)


@pytest.mark.parametrize(("headers", "status"), CROSS)
def test_a_page_of_another_site_changes_nothing(
    calm: World, headers: dict[str, str], status: int
) -> None:
    client = calm.client(edits=True)
    body = json.dumps({"name": "pwned", "into": 0})
    for method, path in (
        ("PATCH", "/api/clusters/7"),
        ("POST", "/api/clusters/7/merge"),
        ("POST", "/api/clusters/7/unmerge"),
    ):
        answer = client.request(method, path, content=body, headers=EDIT | headers)
        assert answer.status_code == status, (path, headers)
    held = calm.catalogue.read()
    assert held is not None
    assert [entry.name for entry in held.entries][2] == ""
    assert calm.merged == []


def test_edits_need_the_header_and_the_permission(world: World) -> None:
    bare = world.client(edits=True).patch("/api/clusters/7", json={"name": "x"})
    assert (bare.status_code, "X-Vdbcluster" in bare.json()["error"]) == (403, True)
    off = world.client().patch("/api/clusters/7", json={"name": "x"}, headers=EDIT)
    assert (off.status_code, "--allow-edit" in off.json()["error"]) == (403, True)
    same = world.client(edits=True).patch(
        "/api/clusters/7",
        json={"name": "x"},
        headers=EDIT | {"origin": "http://127.0.0.1:8080", "sec-fetch-site": "same-origin"},
    )
    assert same.status_code == 200


def test_other_sites_read_nothing(calm: World) -> None:
    client = calm.client()
    embedded = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert client.get("/api/clusters", headers=embedded).status_code == 403
    linked = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=linked).status_code in (200, 404)
    asked = {"origin": "http://evil.example", "access-control-request-method": "PATCH"}
    answer = client.options("/api/clusters/7", headers=asked)
    assert answer.status_code == 405
    assert not any(name.startswith("access-control") for name in answer.headers)


PATHS = (
    "/assets/../app.py", "/assets/..%2fapp.py", "/assets/%2e%2e/app.py", "/assets/..\\app.py",
    "/assets//etc/passwd", "/assets/%2fetc%2fpasswd", "/assets/index.html%00.js", "/assets/",
    "/assets/__init__.py", "/assets/docs.jinja", "/assets/....//app.py", "/../pyproject.toml",
    "/assets/index.html/..", "/static/x", "/api/../assets", "/openapi.json", "/docs", "/redoc",
)  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_out_of_the_list_of_files(calm: World, path: str) -> None:
    answer = calm.client().get(path)
    assert answer.status_code in (404, 405)
    assert list(answer.json()) == ["error"]
    assert "import" not in answer.text


def test_files_are_told_apart_by_a_digest(calm: World) -> None:
    client = calm.client()
    first = client.get("/assets/docs.css")
    assert (first.status_code, first.headers["content-type"]) == (200, "text/css; charset=utf-8")
    again = client.get("/assets/docs.css", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


WRONG: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/api/search", {"q": "x" * 2_001}),
    ("/api/search", {"filter": "x" * 2_001}),
    ("/api/search", {"limit": 0}),
    ("/api/search", {"limit": 201}),
    ("/api/search", {"limit": "many"}),
    ("/api/search", {"offset": -1}),
    ("/api/search", {"offset": 10_001}),
    ("/api/search", {"cluster": -2}),
    ("/api/search", {"cluster": 2**63}),
    ("/api/search", {"cluster": "7) or (1 == 1"}),
    ("/api/search", {"cluster": list(range(201))}),
    ("/api/search", {"assignment": 'core" or "1" == "1'}),
    ("/api/search", {"filter": "id < 5) or (id >= 0"}),
    ("/api/clusters", {"sort": "name; drop"}),
    ("/api/clusters", {"q": "x" * 201}),
    ("/api/clusters/-1", {}),
    ("/api/clusters/9223372036854775808", {}),
    ("/api/clusters/1e3", {}),
    ("/api/clusters/7/rows", {"after": "x"}),
    ("/api/clusters/7/rows", {"limit": 201}),
    ("/api/rows/x", {}),
    ("/api/rows/9223372036854775808", {}),
    ("/api/rows/1%20or%201==1", {}),
    ("/api/rows/\u0661", {}),
    ("/api/row", {}),
    ("/api/noise", {"after": "99999999999999999999"}),
)


@pytest.mark.parametrize(("path", "params"), WRONG)
def test_what_cannot_be_is_one_line(calm: World, path: str, params: dict[str, Any]) -> None:
    answer = calm.client().get(path, params=params)
    assert answer.status_code == 400, answer.text
    line = answer.json()["error"]
    assert line
    assert "\n" not in line
    assert len(line) <= 500


def test_a_row_that_is_not_there_is_404(calm: World) -> None:
    assert calm.client().get("/api/rows/12345").status_code == 404
    assert calm.client().get("/api/rows/12345/similar").status_code == 404
    assert calm.client().delete("/api/rows/1", headers=EDIT).status_code in (404, 405)


def test_a_large_body_is_refused_told_or_not(calm: World) -> None:
    client = calm.client(edits=True)
    large = json.dumps({"name": "x" * MAX_BODY}).encode()
    answer = client.patch("/api/clusters/7", content=large, headers=EDIT)
    assert answer.status_code == 413
    parts = (large[start : start + 1000] for start in range(0, len(large), 1000))
    answer = client.patch("/api/clusters/7", content=parts, headers=EDIT)
    assert answer.status_code == 413
    wrong = client.patch("/api/clusters/7", content=b"{not json", headers=EDIT)
    assert wrong.status_code == 400
    deep = b"[" * 30_000 + b"]" * 30_000
    assert client.patch("/api/clusters/7", content=deep, headers=EDIT).status_code == 400


def test_what_nobody_foresaw_is_a_line_that_says_where(world: World) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a secret of the inside")

    world.services.browser.live.page = broken  # type: ignore[method-assign,assignment]
    answer = world.client().get("/api/noise")
    assert (answer.status_code, "secret" in answer.text) == (500, False)
    (line,) = world.warned
    assert line.startswith("GET /api/noise: RuntimeError: a secret of the inside (test_server_atta")
