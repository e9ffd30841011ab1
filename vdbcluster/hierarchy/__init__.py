"""Pure stage: spanning tree, condensed tree, clusters. Arrays in, arrays out.

    hierarchy = build(graph, HdbscanParams())
    clustering = extract(hierarchy, HdbscanParams())

Loaded on first use, because the compiler behind it takes a second to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vdbcluster.hierarchy.components import connected_components
    from vdbcluster.hierarchy.engine import build, is_compiled
    from vdbcluster.hierarchy.extraction import extract
    from vdbcluster.hierarchy.warm import warm_up

__all__ = ["build", "connected_components", "extract", "is_compiled", "warm_up"]

_HOME = {
    "build": "engine",
    "is_compiled": "engine",
    "extract": "extraction",
    "connected_components": "components",
    "warm_up": "warm",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
