"""Pictures of rows: from files, data URIs, base64, bytes and URLs; what harms is left out."""

from __future__ import annotations

import base64
import gzip
import io
import struct
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vdbcluster.adapters import picture_fetch, pictures
from vdbcluster.adapters.picture_fetch import PictureFetcher
from vdbcluster.adapters.pictures import PictureSource, Thumbnailer, Thumbnails, check_pillow
from vdbcluster.errors import UsageError

image = pytest.importorskip("PIL.Image")
PLENTY = 10**9


def png(width: int = 90, height: int = 30, color: object = (200, 30, 20)) -> bytes:
    out = io.BytesIO()
    image.new("RGB", (width, height), color).save(out, "PNG")
    return out.getvalue()


def made(source: PictureSource, *values: object, limit: int = PLENTY) -> Thumbnails:
    return Thumbnailer(source, 48).of(values, np.arange(len(values)), limit)


def opened(uri: str | None) -> Any:
    assert uri is not None
    head, body = uri.split(",")
    assert head == "data:image/webp;base64"
    return image.open(io.BytesIO(base64.b64decode(body)))


def test_every_kind_of_value_gives_a_thumbnail(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.png").write_bytes(png())
    text = base64.b64encode(png()).decode()
    signed = [b - 256 if b > 127 else b for b in png()]
    clear = io.BytesIO()
    image.new("RGBA", (40, 40), (0, 0, 0, 0)).save(clear, "PNG")
    values = ("a/b.png", f"data:image/png;base64,{text}", text, png(), signed, clear.getvalue())
    found = made(PictureSource(tmp_path), *values, None, "")
    assert found.missing == {}
    sizes = [opened(uri).size for uri in found.uris[:6]]
    assert sizes == [(48, 16)] * 5 + [(40, 40)]
    assert opened(found.uris[5]).mode == "RGBA"
    assert found.uris[6:] == (None, None)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("../secret.png", "a path that leads out of --image-dir"),
        ("/etc/hostname", "a path that leads out of --image-dir"),
        ("link.png", "a path that leads out of --image-dir"),
        ("none.png", "no such file"),
        (".", "no such file"),
        ("a\0b.png", "a path that cannot be read"),
        ("text.png", "no picture that can be read"),
        ("data:image/svg+xml;base64,PHN2Zy8+", "SVG, which may hold scripts"),
        ("DATA:Image/SVG+xml,<svg onload=x/>", "SVG, which may hold scripts"),
        ("data:text/html,<b>", "a data URI of something else than a picture"),
        ("data:image/png;base64,AAAA", "no picture that can be read"),
        ("data:image/png;base64,%%%", "base64 that is none"),
        ("data:image", "a data URI that is none"),
        ("http://127.0.0.1:9/x.png", "a URL, which is fetched with --fetch-images only"),
        (["a"], "an array of something else than bytes"),
        (3.5, "a value of type float"),
    ],
)
def test_what_is_no_picture_is_left_out_and_told(
    tmp_path: Path, value: object, reason: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "secret.png").write_bytes(png())
    (home / "link.png").symlink_to(tmp_path / "secret.png")
    (home / "text.png").write_text("<svg></svg>")
    found = made(PictureSource(home), value, png())
    assert found.missing == {reason: 1}
    assert found.such[reason] == str(value)[:80]
    assert found.uris[0] is None
    assert found.uris[1] is not None


def test_no_directory_no_path() -> None:
    assert made(PictureSource(), "x.png").missing == {"a path, without --image-dir": 1}


def test_bombs_and_giants(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 2_000_000)
    assert made(PictureSource(), png(2000, 1500)).missing == {"more than 2 million pixels": 1}
    giant = bytearray(png())
    giant[16:24] = struct.pack(">II", 30_000, 30_000)  # Pillow itself refuses it as it opens
    giant[29:33] = struct.pack(">I", zlib.crc32(giant[12:29]))
    large = bytearray(png())
    large[16:24] = struct.pack(">II", 12_000, 10_000)  # and warns of this one
    large[29:33] = struct.pack(">I", zlib.crc32(large[12:29]))
    found = made(PictureSource(), bytes(giant), bytes(large), png())
    assert found.missing == {"more than 2 million pixels": 2}
    assert found.uris[2] is not None
    monkeypatch.setattr(pictures, "MAX_BYTES", 50)
    (tmp_path / "x.png").write_bytes(png())
    found = made(PictureSource(tmp_path), "x.png", png())
    assert sum(found.missing.values()) == 2
    assert all(reason.startswith("larger than") for reason in found.missing)


@pytest.mark.parametrize(("tag", "kind"), [(282, 1), (33432, 5), (513, 1)])
def test_damaged_exif_stops_no_other_picture(tag: int, kind: int) -> None:
    turned = struct.pack("<HHII", 274, 3, 1, 6)
    entries = struct.pack("<H", 2) + turned + struct.pack("<HHI4s", tag, kind, 1, b"abc\0")
    body = b"Exif\0\0II*\0" + struct.pack("<I", 8) + entries + bytes(4)
    out = io.BytesIO()
    image.new("RGB", (40, 20)).save(out, "JPEG", exif=body)
    found = made(PictureSource(), out.getvalue(), png())
    assert found.uris[1] is not None


def test_only_as_many_as_there_is_room_for() -> None:
    rng = np.random.default_rng(0)
    values = [png(40, 40, tuple(rng.integers(0, 255, 3).tolist())) for _ in range(300)]
    found = made(PictureSource(), *values, limit=3_000)
    n = sum(uri is not None for uri in found.uris)
    assert n == pictures.BATCH
    assert found.left == 300 - n


def test_without_pillow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "PIL.Image", None)
    with pytest.raises(UsageError, match=r"pip install 'vdbcluster\[images\]'"):
        check_pillow()


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """Pictures over HTTP: ``/ok.png``, ``/moved``, ``/loop``, ``/file``, ``/big``, ``/gone``."""
    asked: list[str] = []
    cookies: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            name = self.path.split("?")[0]
            where = {"/moved": "/ok.png", "/loop": "/loop", "/file": "file:///etc/hostname"}
            status = 302 if name in where else 404 if name == "/gone" else 200
            body = png() if name == "/ok.png" else b"x" * 5000 if name == "/big" else b""
            if name == "/packed":
                body = gzip.compress(b"x" * 10_000_000)
            if name == "/inside":
                status, where = 302, {name: f"http://localhost:{self.server.server_port}/ok.png"}
            cookies.append(self.headers["Cookie"])
            self.send_response(status)
            self.send_header("Set-Cookie", "a=b; Path=/")
            if name == "/packed":
                self.send_header("Content-Encoding", "gzip")
            if name in where:
                self.send_header("Location", where[name])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{served.server_address[1]}", asked
    served.shutdown()
    thread.join()
    served.server_close()
    assert set(cookies) <= {None}


def test_urls_are_fetched_within_bounds(server: tuple[str, list[str]]) -> None:
    home, asked = server
    names = ("/ok.png", "/moved", "/loop", "/file", "/big", "/gone", "/ok.png", "/ok.png?1")
    with PictureFetcher(most=6, max_bytes=2_000) as fetch:
        found = made(PictureSource(fetch=fetch), *(home + name for name in names))
    assert [uri is not None for uri in found.uris] == [True, True, *[False] * 4, True, False]
    assert opened(found.uris[1]).size == (48, 16)
    assert asked.count("/ok.png") == 2  # once by itself, once moved to; never twice for two rows
    assert found.missing["a URL that answers 404"] == 1
    assert found.missing["larger than 0 MB"] == 1
    assert found.missing["a URL beyond the first 6"] == 1
    assert found.missing["a URL that redirects more than 3 times"] == 1
    assert found.missing["a URL that is not answered (UnsupportedProtocol)"] == 1  # a file
    with PictureFetcher(seconds=-1.0) as late:
        found = made(PictureSource(fetch=late), home + "/ok.png")
    assert "of fetching" in next(iter(found.missing))


def test_what_is_packed_stays_packed(server: tuple[str, list[str]]) -> None:
    home, _ = server
    with PictureFetcher(max_bytes=100_000) as fetch:
        found = fetch([home + "/packed"])[home + "/packed"]
    assert isinstance(found, bytes)
    assert len(found) < 20_000


def test_no_redirect_leads_into_a_private_network(
    server: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, asked = server
    real = picture_fetch.addresses
    with PictureFetcher() as fetch:
        assert isinstance(fetch([home + "/inside"])[home + "/inside"], bytes)
        asked.clear()
        public = [picture_fetch.ipaddress.ip_address("93.184.215.14")]
        monkeypatch.setattr(
            picture_fetch, "addresses", lambda host: public if host == "127.0.0.1" else real(host)
        )
        told = fetch([home + "/inside"])[home + "/inside"]
        assert (told, asked) == ("a URL that redirects into a private network", ["/inside"])
    for host in ("169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]"):
        with PictureFetcher() as fetch:
            url = f"http://{host}/latest/meta-data"
            assert fetch([url]) == {url: "a URL of a link-local address"}


def test_a_server_that_is_not_there(unused_port: int) -> None:
    with PictureFetcher() as fetch:
        found = fetch([f"http://127.0.0.1:{unused_port}/x.png", "http://[::bad/x.png"])
    assert all(isinstance(reason, str) for reason in found.values())


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
