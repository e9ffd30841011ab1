"""Plain text: one row a line, or one row a file of a folder.

In: a text file or a folder. Out: ``Parsed`` rows with the fields line and text, or path, name and
text. Promise: a folder is read in the order of the paths, whatever the file system says; hidden
files, and those of an ingest itself, are left out; a file that is no text is one bad row.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from vdbcluster.adapters.sources.batching import Parsed, Unreadable
from vdbcluster.adapters.sources.files import HEAD_BYTES, InputFile, damage, open_text
from vdbcluster.adapters.sources.kinds import seems
from vdbcluster.errors import SourceRowError, UsageError

MAX_FILE = 16 << 20
"""Bytes of one file of a folder."""
MEMORY = 2


def read_lines(file: InputFile, encoding: str) -> Iterator[Parsed | Unreadable]:
    """One row a line that is not blank."""
    with open_text(file, encoding) as text:
        for line in text:
            damaged = text.settle()
            if damaged is not None:
                yield Unreadable(damage(f"line {damaged:,}", encoding), line)
            elif line.strip():
                yield Parsed({"line": text.number, "text": line.rstrip("\r\n")}, MEMORY * len(line))


def listing(folder: Path, ours: Collection[Path] = ()) -> list[str]:
    """Paths of all files in a folder and those within it, sorted, relative, with slashes.

    ``ours``: files and folders that ingest writes; without them the second ingest of a folder in
    which it was started would take in what the first one left there. Raises ``UsageError`` if there
    is no file or a folder cannot be read.
    """
    left_out = {path.resolve() for path in ours}
    found = []
    for where, folders, names in os.walk(folder, onerror=_unreadable):
        base = Path(where).resolve()
        folders[:] = [n for n in folders if not n.startswith(".") and base / n not in left_out]
        kept = [n for n in names if not n.startswith(".") and base / n not in left_out]
        inside = Path(where).relative_to(folder)
        found += [(inside / name).as_posix() for name in kept]
    if not found:
        raise UsageError(f"the folder {folder} holds no file")
    return sorted(found)


def fingerprint(folder: Path, paths: list[str]) -> str:
    """Digest of names, sizes and times of change."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            status = (folder / path).stat()
        except OSError:
            continue  # it is gone or a broken link, which its row will tell
        entry = f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n"
        digest.update(entry.encode(errors="surrogateescape"))
    return digest.hexdigest()


def read_folder(folder: Path, paths: list[str], encoding: str) -> Iterator[Parsed | Unreadable]:
    """One row a file."""
    for path in paths:
        yield _read(folder, path, encoding)


def _read(folder: Path, path: str, encoding: str) -> Parsed | Unreadable:
    file = InputFile(folder / path, path)
    try:
        status = file.path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for somebody to write
            return Unreadable(f"{path} is no file but a pipe, a socket or a device", path)
        size = status.st_size
        if size > MAX_FILE:
            return Unreadable(f"{path} has {size:,} bytes, more than a text of one row may", path)
        with file.open() as binary:
            what = seems(binary.read(HEAD_BYTES))
        if what is not None and not encoding.lower().startswith(("utf-16", "utf-32")):
            return Unreadable(f"{path} seems to be {what}, not text", path)
        return _text(file, path, encoding)
    except OSError as error:
        return Unreadable(f"{path} cannot be read: {error.strerror or error}", path)


def _text(file: InputFile, path: str, encoding: str) -> Parsed | Unreadable:
    try:
        with open_text(file, encoding) as text:
            content = "".join(text)
            damaged = text.settle()
    except SourceRowError as error:
        return Unreadable(str(error), path)
    if damaged is not None:
        return Unreadable(f"{path}: {damage(f'line {damaged:,}', encoding)}", path)
    values = {"path": path, "name": file.path.name, "text": content}
    return Parsed(values, MEMORY * len(content))


def _unreadable(error: OSError) -> None:
    raise UsageError(f"the folder {error.filename} cannot be read: {error.strerror}") from error
