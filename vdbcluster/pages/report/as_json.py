"""A report as JSON, for programs.

In: a ``Report``. Out: plain values: numbers, texts, lists, objects. Promise: pure; nothing is cut
further, and what is not measured is null. ``version`` is that of the shape (``REPORT_VERSION``):
the names are those of ``model.report``, a cosine matrix is a list of rows, and the map is told by
its counts alone (where rows lie is what exports are for).

    as_json(report)["clusters"][0]["title"]
"""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np

from vdbcluster.model.maps import MapView
from vdbcluster.model.report import REPORT_VERSION, Report


def as_json(report: Report) -> dict[str, Any]:
    """See the module."""
    told = {field.name: _plain(getattr(report, field.name)) for field in fields(report)}
    view = told.pop("view")
    return {"version": REPORT_VERSION, **told, "map": view}


def _plain(value: Any) -> Any:
    """The same as JSON has it."""
    if isinstance(value, MapView):
        drawn = int(np.isfinite(value.points).all(axis=1).sum())
        return {"rows": len(value), "drawn": drawn, "clusters": len(value.clusters)}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return _mapping(value) if hasattr(value, "items") else value


def _mapping(value: Any) -> dict[str, Any]:
    """Keys of JSON are texts."""
    return {str(key): _plain(one) for key, one in value.items()}
