"""Files as bytes and as text, with one line for all that can be wrong with them.

In: a path, or standard input. Out: open files, decoded lines, a fingerprint.
Promise: gzip is undone; a byte-order mark beats the encoding that was said; bytes that cannot be
decoded become lone surrogates, which the readers turn into faulty rows; an error of the system is a
``UsageError``, one in the middle of the data a ``SourceRowError``.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import os
import shutil
import sys
import tempfile
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from vdbcluster.errors import SourceRowError, UsageError

STDIN = "-"
HEAD_BYTES = 4096
MARK_BYTES = 1 << 16
"""Bytes of either end that a fingerprint covers."""
MAX_LINE = 64 << 20
"""Characters of a line; a longer one is not a row but another kind of file."""

_GZIP = b"\x1f\x8b"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class InputFile:
    """One regular file. ``name``: as messages show it; ``keep``: lives as long as this does."""

    path: Path
    name: str
    gzipped: bool = False
    dated: bool = True
    keep: Any = None

    def open(self) -> BinaryIO:
        """The content, unpacked."""
        if self.gzipped:
            return cast("BinaryIO", gzip.open(self.path, "rb"))
        return self.path.open("rb")

    def head(self) -> bytes:
        """The first bytes of the content. Raises ``UsageError``."""
        with reading(self), self.open() as file:
            return file.read(HEAD_BYTES)

    def fingerprint(self) -> str:
        """Digest of size, time of change and both ends. Raises ``UsageError``."""
        with reading(self), self.path.open("rb") as file:
            stat = self.path.stat()
            time = stat.st_mtime_ns if self.dated else 0
            digest = hashlib.sha256(f"{stat.st_size} {time} ".encode())
            digest.update(file.read(MARK_BYTES))
            file.seek(max(0, stat.st_size - MARK_BYTES))
            digest.update(file.read(MARK_BYTES))
        return digest.hexdigest()


def input_file(path: Path) -> InputFile:
    """A file that exists. Raises ``UsageError`` for one that does not or cannot be read."""
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    if not path.is_file():
        raise UsageError(f"{path} is neither a file nor a folder; save what it gives to a file")
    plain = InputFile(path, str(path))
    with reading(plain), path.open("rb") as file:
        return InputFile(path, str(path), gzipped=file.read(2) == _GZIP)


def spooled(stream: BinaryIO | None = None) -> InputFile:
    """Standard input, copied to a temporary file so that it can be read twice."""
    if stream is None and sys.stdin is None:
        raise UsageError("standard input is closed; pipe a file into it, or name the file")
    source = sys.stdin.buffer if stream is None else stream
    if source.isatty():
        raise UsageError("standard input is a terminal; pipe a file into it, or name the file")
    spool = _Spool()
    plain = InputFile(spool.path, "standard input", dated=False, keep=spool)
    with reading(plain):
        with spool.path.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        with spool.path.open("rb") as copy:
            return replace(plain, gzipped=copy.read(2) == _GZIP)


class _Spool:
    """A temporary file that goes with this object, at the latest when the process ends."""

    def __init__(self) -> None:
        handle, name = tempfile.mkstemp(prefix="vdbcluster-stdin-")
        os.close(handle)
        self.path = Path(name)
        weakref.finalize(self, self.path.unlink, missing_ok=True)


@contextmanager
def reading(file: InputFile) -> Iterator[None]:
    """Errors of the system and of gzip, in one line."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SourceRowError(f"{file.name}: the gzip file is damaged or cut off") from error
    except OSError as error:
        raise UsageError(f"{file.name} cannot be read: {_first_line(error)}") from error


def _first_line(error: OSError) -> str:
    return error.strerror or str(error).partition("\n")[0]


class Text:
    """The decoded text of a file; counts the lines and notes those that could not be decoded."""

    def __init__(self, file: InputFile, stream: TextIO) -> None:
        self._file = file
        self._stream = stream
        self.number = 0
        self.damaged: int | None = None

    def __iter__(self) -> Iterator[str]:
        while line := self._read():
            self.number += 1
            if self.damaged is None and is_damaged(line):
                self.damaged = self.number
            yield line

    def _read(self) -> str:
        try:
            line = self._stream.readline(MAX_LINE)
        except UnicodeDecodeError as error:
            raise undecodable(self._file, error, f"after line {self.number:,}") from error
        if len(line) >= MAX_LINE:
            raise SourceRowError(
                f"{self._file.name}: line {self.number + 1:,} has more than {MAX_LINE >> 20} "
                "million characters; is this another kind of file? (--format)"
            )
        return line

    def read(self, characters: int) -> str:
        """More text, regardless of lines."""
        try:
            return self._stream.read(characters)
        except UnicodeDecodeError as error:
            raise undecodable(self._file, error, "further on") from error

    def settle(self) -> int | None:
        """The first line since the last call that could not be decoded."""
        damaged, self.damaged = self.damaged, None
        return damaged


@contextmanager
def open_text(file: InputFile, encoding: str) -> Iterator[Text]:
    """Decoded lines with their ends. Raises ``UsageError`` for an unknown encoding."""
    check_encoding(encoding)
    head = file.head()
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    with (
        reading(file),
        file.open() as binary,
        io.TextIOWrapper(
            binary, encoding=marked or encoding, errors="surrogateescape", newline=""
        ) as stream,
    ):
        yield Text(file, stream)


def check_encoding(encoding: str) -> None:
    """Raises ``UsageError`` for an encoding that Python does not have."""
    try:
        "".encode(encoding)
    except (LookupError, UnicodeError) as error:
        raise UsageError(
            f"there is no encoding {encoding!r}; for instance utf-8, cp1252, shift_jis, gb18030"
        ) from error


def decoded_head(file: InputFile, encoding: str) -> str:
    """The beginning as text, without the mark; what cannot be decoded is replaced."""
    check_encoding(encoding)
    head = file.head()
    for mark, name in _MARKS:
        if head.startswith(mark):
            return head.decode(name, errors="replace")
    return head.decode(encoding, errors="replace")


def is_damaged(line: str) -> bool:
    """Whether bytes of this line could not be decoded."""
    if line.isascii():
        return False
    try:
        line.encode()
    except UnicodeEncodeError:
        return True
    return False


def damage(place: str, encoding: str) -> str:
    """The reason of a row that could not be decoded."""
    return f"{place} holds bytes that are not {encoding}; say the right --encoding"


def undecodable(file: InputFile, error: UnicodeDecodeError, where: str) -> SourceRowError:
    return SourceRowError(
        f"{file.name} holds bytes {where} that are not {error.encoding}; say the right --encoding"
    )
