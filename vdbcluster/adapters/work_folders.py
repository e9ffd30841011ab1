"""``WorkPlace`` in a folder of this machine or in an object store: one folder for each work.

In: a path, or a URL that fsspec knows. Out: ``ShardFiles`` by name.
Promise: of what lies there, only pieces of ours in folders named by us are ever removed; another
process may use, finish or drop the same work at the same time.

    place = WorkFolders("vdbcluster-runs/work")
    place.store("3f2a...-9c01...").save("graph-00000", arrays)
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from vdbcluster.adapters.file_systems import (
    PATIENCE,
    Patience,
    file_system,
    is_local,
    is_silent,
    patiently,
    shown,
    told_by,
)
from vdbcluster.adapters.shard_files import ShardFiles, silent
from vdbcluster.errors import UsageError, VdbclusterError

_NAME = re.compile(r"[0-9a-f]{8,32}-[0-9a-f]{32}")
"""Of folders that ``clear`` may look into."""


@dataclass(frozen=True, slots=True)
class WorkFolders:
    """See ``ports.work``. ``UsageError`` at the first call if fsspec does not know the URL."""

    url: str = field(repr=False)
    patience: Patience = field(default=PATIENCE, repr=False)

    def store(self, name: str) -> ShardFiles:
        return ShardFiles(f"{self.url.rstrip('/')}/{name}", self.patience)

    def check(self) -> None:
        """Try it: keep a piece, and take it away.

        Raises ``UsageError`` where there is no such place, or this user may not write there, and
        ``VdbclusterError`` where nobody answers, or there is no room.
        """
        # Nothing is lost by now: somebody waits, so what was refused is not tried for long.
        store = replace(
            self.store(f"probe-{uuid4().hex}"), patience=replace(self.patience, pause=0)
        )
        try:
            store.save("probe", {})
            store.drop()
        except UsageError:
            raise
        except VdbclusterError as error:
            why = error.__cause__ or error
            if is_silent(why):
                raise VdbclusterError(
                    f"{silent(self.url, why)}; see that it runs and can be reached from here, or "
                    "name another place with --work-dir"
                ) from error
            told = f"pieces of work cannot be kept in {shown(self.url)} ({told_by(why)})"
            if isinstance(why, (FileNotFoundError, NotADirectoryError, PermissionError)):
                raise UsageError(
                    f"{told}; name a folder, or a bucket that is there, with --work-dir, where you "
                    "may read, write, list and delete"
                ) from error
            raise VdbclusterError(
                f"{told}; see that it answers and has room, then run again"
            ) from error

    def clear(self, stem: str, keep: str, seconds: float) -> None:
        files, root = file_system(self.url, self.patience)
        try:
            old = patiently(
                lambda: _unused_for(seconds, files, root, stem, keep), files, self.patience
            )
        except Exception as error:
            if is_local(files) and not isinstance(error, OSError):
                raise
            raise VdbclusterError(  # each store has errors of its own
                f"unfinished work in {shown(self.url)} cannot be cleared ({told_by(error)}); "
                "remove what is old there by hand"
            ) from error
        for name in old:
            self.store(name).drop()


def _unused_for(seconds: float, files: Any, root: str, stem: str, keep: str) -> list[str]:
    """Folders of ours by the begin of their names."""
    found = []
    for folder in files.ls(root, detail=False) if files.isdir(root) else []:
        name = str(folder).rstrip("/").rpartition("/")[2]
        ours = _NAME.fullmatch(name) and name.startswith(stem) and name != keep
        if ours and time.time() - _last_write(files, folder) > seconds:
            found.append(name)
    return found


def _last_write(files: Any, folder: str) -> float:
    """Of the newest file in it, in seconds since 1970; 0 where there is none, or it is gone."""
    with suppress(FileNotFoundError):
        return max(map(_written, files.ls(folder, detail=True)), default=0.0)
    return 0.0


def _written(info: Mapping[str, Any]) -> float:
    """File systems name it differently: a number on this machine, a date in an object store."""
    found = info.get("mtime", info.get("LastModified", info.get("created", time.time())))
    return found.timestamp() if isinstance(found, datetime) else float(found)
