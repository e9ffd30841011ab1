"""Pictures of rows, as thumbnails that fit into a page.

In: the value that a field holds of each row: a path below a directory, a data URI, base64, bytes,
or a URL. Out: ``Thumbnails``. Promise: nothing outside the directory is read and nothing fetched
unless asked for; SVG is never taken, as it may hold scripts; what cannot be used is counted by its
reason, and no row stops the others.

    Thumbnailer(PictureSource(directory), size=72).of(values, order, limit=10_000_000)
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import struct
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from vdbcluster.errors import UsageError
from vdbcluster.model.arrays import Int64Array

MAX_BYTES = 20_000_000
MAX_PIXELS = 64_000_000
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")
QUALITY = 60
BATCH = 64
USUAL_FIELDS = (
    "thumbnail", "image", "img", "picture", "photo", "image_path", "image_file", "image_url",
    "image_uri", "picture_url", "photo_url", "thumbnail_url",
)  # fmt: skip
"""What people call a field of pictures, the likeliest first."""
_DATA = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[^;,]*)*),", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{64,}={0,2}\s*")
_BEGINNINGS = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "Qk0", "SUkq", "TU0AK")
_BROKEN = (
    OSError, SyntaxError, ValueError, ArithmeticError, EOFError, LookupError, TypeError,
    AttributeError, struct.error,
)  # fmt: skip
"""What Pillow raises for bytes or EXIF that are damaged."""
Fetch = Callable[[Sequence[str]], Mapping[str, "bytes | str"]]


class UnusableError(Exception):
    """Why a value gives no picture, in a few words that are the same for all of a kind."""


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """``uris``: a data URI or None for each value. ``missing``: how many by reason, with ``such``,
    the first value of each. ``left``: pictures that were not made, for want of room.
    """

    uris: tuple[str | None, ...]
    missing: Mapping[str, int] = field(default_factory=dict)
    such: Mapping[str, str] = field(default_factory=dict)
    left: int = 0


@dataclass(frozen=True, slots=True)
class PictureSource:
    """Where bytes come from. ``fetch``: takes URLs, gives bytes or why not; None fetches none."""

    directory: Path | None = None
    fetch: Fetch | None = None

    def read(self, value: object, fetched: Mapping[str, bytes | str]) -> bytes:
        """The bytes that ``value`` stands for; ``UnusableError`` if there are none."""
        if isinstance(value, (bytes, bytearray)):
            return bytes(value)
        if isinstance(value, list):
            return _of_numbers(value)
        if not isinstance(value, str):
            raise UnusableError(f"a value of type {type(value).__name__}")
        text = value.strip()
        if text[:5].lower() == "data:":
            return _of_data_uri(text)
        if is_url(text):
            return _of_url(fetched.get(text, "a URL, which is fetched with --fetch-images only"))
        if text.startswith(_BEGINNINGS) and _BASE64.fullmatch(text):
            return _of_base64(text)
        return self._of_file(text)

    def _of_file(self, text: str) -> bytes:
        if self.directory is None:
            raise UnusableError("a path, without --image-dir")
        try:
            home = self.directory.resolve()
            place = (home / text).resolve()
            if not place.is_relative_to(home):
                raise UnusableError("a path that leads out of --image-dir")
            if not place.is_file():
                raise UnusableError("no such file")
            if place.stat().st_size > MAX_BYTES:
                raise UnusableError(f"larger than {MAX_BYTES // 1_000_000} MB")
            return place.read_bytes()
        except (OSError, ValueError) as error:
            raise UnusableError("a path that cannot be read") from error


@dataclass(frozen=True, slots=True)
class Thumbnailer:
    """``size``: pixels of the longer side. Raises ``UsageError`` where Pillow is not installed."""

    source: PictureSource
    size: int = 72

    def __post_init__(self) -> None:
        check_pillow()

    def of(self, values: Sequence[object], order: Int64Array, limit: int) -> Thumbnails:
        """Thumbnails of as many values as ``limit`` bytes hold, taken in ``order``."""
        uris: list[str | None] = [None] * len(values)
        missing: Counter[str] = Counter()
        such: dict[str, str] = {}
        wanted = [int(i) for i in order if values[int(i)] not in (None, "", [], b"")]
        room = limit
        for start in range(0, len(wanted), BATCH):
            rows = wanted[start : start + BATCH]
            fetched = self._fetched([values[row] for row in rows])
            for row in rows:
                try:
                    uri = thumbnail(self.source.read(values[row], fetched), self.size)
                except UnusableError as error:
                    missing[str(error)] += 1
                    such.setdefault(str(error), str(values[row])[:80])
                    continue
                uris[row] = uri
                room -= len(uri) + 3
            if room <= 0:
                left = len(wanted) - start - len(rows)
                return Thumbnails(tuple(uris), dict(missing), such, left)
        return Thumbnails(tuple(uris), dict(missing), such)

    def _fetched(self, values: Sequence[object]) -> Mapping[str, bytes | str]:
        if self.source.fetch is None:
            return {}
        urls = [v.strip() for v in values if isinstance(v, str) and is_url(v.strip())]
        return self.source.fetch(list(dict.fromkeys(urls)))


def is_url(text: str) -> bool:
    return text[:8].lower().startswith(("http://", "https://"))


def check_pillow() -> None:
    """``UsageError`` where there is no Pillow."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "thumbnails need Pillow; pip install 'vdbcluster[images]', or leave --image-field out"
        ) from error


def thumbnail(data: bytes, size: int) -> str:
    """A data URI of WebP, at most ``size`` pixels wide and high; ``UnusableError`` if it is no
    picture of ``FORMATS``, or one of more than ``MAX_PIXELS``.
    """
    from PIL import Image, ImageOps

    if len(data) > MAX_BYTES:
        raise UnusableError(f"larger than {MAX_BYTES // 1_000_000} MB")
    try:
        with (
            warnings.catch_warnings(action="ignore"),  # of what is amiss with it
            Image.open(io.BytesIO(data), formats=FORMATS) as opened,
        ):
            if opened.width * opened.height > MAX_PIXELS:
                raise UnusableError(_too_many_pixels())
            opened.draft("RGB", (2 * size, 2 * size))
            picture: Any = ImageOps.exif_transpose(opened)
            clear = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
            picture = picture.convert("RGBA" if clear else "RGB")
    except Image.DecompressionBombError as error:  # told before we could look at its size
        raise UnusableError(_too_many_pixels()) from error
    except _BROKEN as error:
        raise UnusableError("no picture that can be read") from error
    picture.thumbnail((size, size))
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=QUALITY, method=3)
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def _too_many_pixels() -> str:
    return f"more than {MAX_PIXELS // 1_000_000} million pixels"


def _of_url(found: bytes | str) -> bytes:
    if isinstance(found, str):
        raise UnusableError(found)
    return found


def _of_numbers(values: list[Any]) -> bytes:
    """An array field: bytes as numbers, signed or not."""
    try:
        return bytes(int(value) & 255 for value in values)
    except (TypeError, ValueError) as error:
        raise UnusableError("an array of something else than bytes") from error


def _of_data_uri(text: str) -> bytes:
    head = _DATA.match(text)
    if head is None:
        raise UnusableError("a data URI that is none")
    if not (head[1] or "").lower().startswith("image/"):
        raise UnusableError("a data URI of something else than a picture")
    if "svg" in head[1].lower():
        raise UnusableError("SVG, which may hold scripts")
    body = text[head.end() :]
    if ";base64" in (head[2] or "").lower():
        return _of_base64(unquote_to_bytes(body).decode("ascii", "replace"))
    return unquote_to_bytes(body)


def _of_base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnusableError("base64 that is none") from error
