"""Which language the texts are in: asked once, to take it out of the vectors or to tell of it.

In: rows, a source of their texts, a detector. Out: a code for each row that was asked, points
without what their language adds to them. Promise: at most ``most`` texts are read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vdbcluster.errors import UsageError
from vdbcluster.graph.distance import ON_SPHERE, is_narrow, mean_direction, prepare
from vdbcluster.graph.groups import centered_by_group
from vdbcluster.model.arrays import Float32Array, Float64Array
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.recipe import Centering
from vdbcluster.pipeline.room import Room
from vdbcluster.ports import VectorSource
from vdbcluster.ports.languages import LanguageDetector
from vdbcluster.quality.language import rows_to_ask

FEW, MANY = 1000, 4000
"""Rows that are enough for a report, and for the mean of each language."""


def ask_languages(
    source: VectorSource,
    rows: Rows,
    field: str,
    detector: LanguageDetector,
    *,
    most: int = MANY,
    seed: int = 0,
) -> NDArray[Any]:
    """Codes ``(n,) object`` of ``str``, None for rows that were not asked."""
    which = rows_to_ask(len(rows), most, seed)
    languages = np.full(len(rows), None, object)
    languages[which] = detector.detect(source.texts(rows.keys[which], field))
    return languages


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """``points (n, d) float32`` that are compared, ``mean (d,)`` that was subtracted, if any.

    ``repeatable``: other vectors can be prepared in the same way; not those centred by language.
    """

    points: Float32Array
    mean: Float64Array | None = None
    repeatable: bool = True


def prepared(
    rows: Rows,
    metric: str,
    center: Centering,
    languages: Callable[[], NDArray[Any] | None],
    *,
    in_place: bool,
    room: Room,
    steady: Callable[[Float64Array | None], Float64Array | None] = lambda mean: mean,
) -> Prepared:
    """The rows as they are compared by ``metric``.

    ``languages`` is called for ``center`` ``language`` alone, and gives None where no field holds
    texts. ``in_place``: they may take the place of the vectors of ``rows``, unless they are
    centred: the catalogue tells of the vectors that the collection holds. ``steady``: what to
    subtract where this is the mean, None for nothing. Raises ``UsageError``
    where the language cannot be taken out.
    """
    if not len(rows):
        return Prepared(rows.vectors)
    on_sphere = metric in ON_SPHERE
    if center in ("mean", "language") and not on_sphere:
        raise UsageError(
            f"center {center} is for vectors compared by direction, not by {metric}; use center "
            "none"
        )
    mean = mean_direction(rows.vectors) if on_sphere and center in ("narrow", "mean") else None
    if center == "narrow" and mean is not None and not is_narrow(mean):
        mean = None
    if on_sphere and center != "language":
        mean = steady(mean)
    if mean is None and center != "language":
        return Prepared(prepare(rows.vectors, metric, out=rows.vectors if in_place else None))
    out = room.empty((len(rows), rows.vectors.shape[1]), np.float32)
    if mean is not None:
        return Prepared(prepare(rows.vectors, metric, mean=mean, out=out), mean)
    found = languages()
    if found is None:
        raise UsageError("center language needs the texts; name their field with --text-field")
    points = centered_by_group(rows.vectors, found, out=out)
    return Prepared(points, repeatable=False)
