"""Where the record of a run is kept.

In: manifests, arrays and texts by run id. Out: the same, as they were saved last.
Promise: a manifest, a text, and the arrays of one part, are replaced as a whole or not at all; what
is missing or damaged is one ``VdbclusterError`` that names the place and says what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from vdbcluster.model.manifest import RunManifest

TEXT_PARTS = ("classifiers",)
"""Parts that are one JSON document each."""
LARGE_PARTS = ("graph", "smoothed")
"""Parts whose arrays may be memory maps when they are loaded: by far the largest of a record."""


class RunStore(Protocol):
    """Runs of any collection.

    Parts of arrays: ``plan``, ``kept``, ``catalogue``, ``graph``, ``smoothed``, ``map``,
    ``cards``, ``asked``.
    """

    def save(self, manifest: RunManifest) -> None: ...

    def load(self, run_id: str) -> RunManifest:
        """``UsageError`` if there is no such run, ``VdbclusterError`` if its record is damaged."""
        ...

    def ids(self) -> tuple[str, ...]:
        """Of all runs there are, damaged ones too, in no order that means anything."""
        ...

    def every(self) -> tuple[RunManifest, ...]:
        """All whose record can be read, by when they started, the oldest first."""
        ...

    def save_arrays(
        self, run_id: str, arrays: Mapping[str, NDArray[Any]], part: str = "plan"
    ) -> None:
        """Numbers of any type, and ``object`` arrays of ``str``, all of one dimension or more."""
        ...

    def load_arrays(self, run_id: str, part: str = "plan") -> dict[str, NDArray[Any]]:
        """Raises ``VdbclusterError`` if the run has no such part, or a damaged one."""
        ...

    def having(self, part: str) -> tuple[str, ...]:
        """Runs that have recorded this part, in no order that means anything."""
        ...

    def drop_arrays(self, run_id: str, part: str) -> None:
        """Forget one part; nothing happens if it is not there."""
        ...

    def move_arrays(self, run_id: str, part: str, to: str) -> None:
        """Give one part of arrays to the record of the run ``to``, whatever it had under that name.

        Raises ``VdbclusterError`` if the run has no such part.
        """
        ...

    def save_text(self, run_id: str, text: str, part: str) -> None:
        """A JSON document; ``part``: one of ``TEXT_PARTS``."""
        ...

    def load_text(self, run_id: str, part: str) -> str:
        """Raises ``VdbclusterError`` if the run has no such part, or one that is no text."""
        ...

    def remove(self, run_id: str) -> None:
        """Nothing happens if there is no such run."""
        ...
