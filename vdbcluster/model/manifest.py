"""The record of one run: what was asked, what was found, what became of it.

In: what ``to_json`` gave, now or by an earlier version. Out: ``RunManifest``.
Promise: plain JSON values only, no secret, versioned; enough to reproduce the run and to tell
whether it was finished. A record that cannot be understood is one clear line.

    RunManifest.from_json(json.loads(text))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from vdbcluster.errors import VdbclusterError

RunState = Literal["reading", "planned", "writing", "written", "refused", "dry-run", "rolled-back"]
RENAMED: Mapping[object, RunState] = {"clustered": "planned"}
"""States as version 1 called them."""
MANIFEST_VERSION = 2


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """One line of the table of clusters: the id that was written, one text, and figures.

    ``soft`` of its ``size`` rows were noise at first. ``stability``: how well it is found again in
    samples of the graph, 0 to 1; None where none was drawn.
    """

    id: int
    size: int
    soft: int
    persistence: float
    stability: float | None
    representative: str | None


@dataclass(frozen=True, slots=True)
class RunManifest:
    """``seconds`` by stage; ``facts`` what each stage measured.

    ``started``: when, in UTC, as ISO 8601 with microseconds; empty in records of version 1.
    """

    run_id: str
    state: RunState
    collection: str
    identity: str
    selection: Mapping[str, Any]
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    clusters: tuple[ClusterRow, ...] = ()
    started: str = ""
    version: int = MANIFEST_VERSION

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> RunManifest:
        """The same record; ``VdbclusterError`` if it is newer than this version, or damaged."""
        if not isinstance(value, dict):
            raise VdbclusterError("it is no JSON object")
        version = value.get("version")
        if not isinstance(version, int) or version < 1:
            raise VdbclusterError(f"its version is {version!r}, no number")
        if version > MANIFEST_VERSION:
            raise VdbclusterError(
                f"it has version {version}, and this vdbcluster reads up to version "
                f"{MANIFEST_VERSION}; use the newer vdbcluster that wrote it"
            )
        state = value.get("state")
        named = {"state": RENAMED.get(state, state), "version": MANIFEST_VERSION}
        try:
            return _reader().validate_python(value | named)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise VdbclusterError(f"{place}: {first['msg']}") from error


def is_assignment(manifest: RunManifest) -> bool:
    """Whether it labelled rows that came after another run, by that run's clusters."""
    return "assign" in manifest.facts


def unwritten_catalogue(manifest: RunManifest) -> str:
    """Why the catalogue does not tell of the labels that were written; empty if it does."""
    told = manifest.facts.get("catalogue", {})
    return str(told.get("error", "")) if "name" in told else ""


@cache
def _reader() -> TypeAdapter[RunManifest]:
    return TypeAdapter(RunManifest)
