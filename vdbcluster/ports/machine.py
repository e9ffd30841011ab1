"""What this machine has and what this process takes of it: memory, disk.

In: what is done; a folder. Out: the highest memory in use meanwhile; the space that is free.
Promise: memory of our own and pages of files are told apart: the system takes the pages of files
back when it needs them, so a limit is about the first alone.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(slots=True)
class MemoryPeak:
    """In bytes: ``own``, which only freeing gives back, and ``files``, mapped pages of files.

    Each the highest by itself, not necessarily at one time; 0 where it cannot be told.
    """

    own: int = 0
    files: int = 0


class Machine(Protocol):
    """This machine, as far as a run asks for it."""

    def watch(self) -> AbstractContextManager[MemoryPeak]:
        """The peak is up to date when the context ends.

        Any number of watches may be open at once, in several threads.
        """
        ...

    def own_memory(self) -> int | None:
        """Bytes of our own in use now; None where it cannot be told."""
        ...

    def free_memory(self) -> int | None:
        """Bytes that the system can give to this process; None where it cannot be told."""
        ...

    def free_disk(self, folder: Path) -> int | None:
        """Bytes free where the folder is or would be made; None where it cannot be told."""
        ...

    def same_disk(self, one: Path, other: Path) -> bool:
        """Whether what one folder takes is gone for the other; False where it cannot be told."""
        ...

    def in_memory(self, folder: Path) -> bool:
        """Whether files take memory where the folder is or would be made, as on a tmpfs; False
        where it cannot be told.
        """
        ...


class UnknownMachine:
    """Nothing is measured, and so nothing refused."""

    def watch(self) -> AbstractContextManager[MemoryPeak]:
        return nullcontext(MemoryPeak())

    def own_memory(self) -> int | None:
        return None

    def free_memory(self) -> int | None:
        return None

    def free_disk(self, folder: Path) -> int | None:  # noqa: ARG002
        return None

    def same_disk(self, one: Path, other: Path) -> bool:
        return one == other

    def in_memory(self, folder: Path) -> bool:  # noqa: ARG002
        return False
