"""What a worker remembers when it is started again.

In: the directory of a job's runs. Out: per command, the last time that was dealt with and when it
last ended well. Promise: replaced as a whole; a file that cannot be read is one that is not there.

    memory = Memory(runs_dir, "news")
    memory.keep("run", Remembered(at, ended_well))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from vdbcluster.adapters.replacing import replacing
from vdbcluster.errors import UsageError


@dataclass(frozen=True)
class Remembered:
    """``dealt_with``: a time of the timetable. ``ended_well``: when a run last did, if ever."""

    dealt_with: AwareDatetime
    ended_well: AwareDatetime | None = None


_FILE = TypeAdapter(dict[str, Remembered])


class Memory:
    """One small file per job, hidden in the directory of its runs."""

    def __init__(self, runs_dir: Path, job: str) -> None:
        self._place = runs_dir / f".worker-{job}.json"
        self._known = dict(self._read())

    def _read(self) -> Mapping[str, Remembered]:
        try:
            return _FILE.validate_json(self._place.read_bytes())
        except (OSError, ValidationError):
            return {}

    def of(self, command: str) -> Remembered | None:
        return self._known.get(command)

    def keep(self, command: str, dealt_with: datetime, ended_well: datetime | None) -> None:
        """Store that a time was dealt with; without ``ended_well``, the last one stays.

        Raises ``OSError`` where the directory cannot be written.
        """
        before = self._known.get(command)
        well = ended_well or (before.ended_well if before else None)
        self._known[command] = Remembered(dealt_with, well)
        with replacing(self._place) as file:
            file.write(_FILE.dump_json(self._known, indent=1))

    def check(self) -> None:
        """``UsageError`` if nothing can be kept here; makes the directory."""
        folder = self._place.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(self._place) as file:
                file.write(_FILE.dump_json(self._known, indent=1))
        except OSError as error:
            raise UsageError(
                f"the run directory {folder} cannot be written ({error.strerror}); name another "
                "with runs_dir in section run"
            ) from error
