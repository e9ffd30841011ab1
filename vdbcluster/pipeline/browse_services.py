"""All that a search UI works with, behind ports.

In: what the wiring has opened. Out: ``Services``.
"""

from __future__ import annotations

from dataclasses import dataclass

from vdbcluster.pipeline.browse import Browser
from vdbcluster.pipeline.browse_edits import Editing
from vdbcluster.pipeline.browse_map import MapShelf
from vdbcluster.ports import RunStore


@dataclass(frozen=True, slots=True)
class Services:
    """``editing``: None where nobody may edit. ``prefix``: of the fields that hold labels."""

    browser: Browser
    maps: MapShelf
    runs: RunStore
    editing: Editing | None = None
    prefix: str = "cluster_"
