"""Rows and clusters as the API gives them.

In: rows, entries, a reading of the catalogue. Out: models of ``shapes``. Promise: keys are text,
texts and fields are cut but in a row that is asked for by itself, numbers are finite.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vdbcluster.model.cards import Card
from vdbcluster.model.catalogue import CatalogueEntry, RowKey
from vdbcluster.model.live import LiveRow
from vdbcluster.pipeline.browse_alike import Near
from vdbcluster.pipeline.browse_fields import ShownFields, brief, image_of, plain, text_of
from vdbcluster.pipeline.browse_services import Services
from vdbcluster.pipeline.browse_shelf import Shelved, titled
from vdbcluster.server import shapes

WHOLE_TEXT = 100_000


def row(found: LiveRow, shown: ShownFields, shelved: Shelved, *, whole: bool = False) -> shapes.Row:
    """``whole``: the text in full, and every field."""
    label, fields, value_of = found.label, found.fields, plain if whole else brief
    beside = [n for n in (fields if whole else shown.few) if n not in (shown.text, shown.image)]
    values: dict[str, Any] = {
        "key": str(found.key),
        "text": text_of(fields.get(shown.text or ""), *([WHOLE_TEXT] if whole else [])),
        "image": image_of(fields.get(shown.image or "")),
        "score": _finite(found.score),
        "fields": {name: value_of(fields[name]) for name in beside if name in fields},
    }
    if label is not None:
        values |= {
            "cluster": shapes.Named(id=label.cluster, title=shelved.title(label.cluster)),
            "probability": _finite(label.probability),
            "outlier_score": _finite(label.outlier_score),
            "assignment": label.assignment or None,
            "run_id": label.run_id,
            "duplicate_of": label.duplicate_of or None,
        }
    return shapes.Row(**values)


def rows(found: Iterable[LiveRow], shown: ShownFields, shelved: Shelved) -> list[shapes.Row]:
    return [row(one, shown, shelved) for one in found]


@dataclass(frozen=True, slots=True)
class Showing:
    """What clusters are shown by: a reading of the catalogue, colours, texts of some rows."""

    shelved: Shelved
    shown: ShownFields
    color: Callable[[int], tuple[str, str]]
    texts: Mapping[RowKey, LiveRow] = field(default_factory=dict)

    def cluster(self, entry: CatalogueEntry) -> shapes.Cluster:
        return shapes.Cluster(**self._values(entry))

    def detail(self, entry: CatalogueEntry, similar: Sequence[Near]) -> shapes.ClusterDetail:
        card = self.shelved.explanation.get(entry.id)
        return shapes.ClusterDetail(
            **self._values(entry),
            run_id=self.shelved.run_id,
            first_seen=entry.first_seen,
            last_seen=entry.last_seen,
            lineage=_listed(entry.lineage),
            similar=[near(one) for one in similar],
            exemplars=[self._row(key) for key in entry.exemplar_keys if key in self.texts],
            card=None if card is None else card_json(card),
        )

    def _values(self, entry: CatalogueEntry) -> dict[str, Any]:
        return {
            "id": entry.id,
            "name": entry.name,
            "title": titled(entry),
            "description": entry.description,
            "keywords": list(entry.keywords),
            "size": entry.size,
            "stability": _finite(entry.stability),
            "persistence": _finite(entry.persistence) or 0.0,
            "pinned": entry.pinned,
            "hidden": entry.hidden,
            "medoid": self._row(entry.medoid_key),
            "interestingness": interest(entry, self.shelved),
            "state": str(entry.state),
            "merged_into": entry.merged_into,
            "color": self.color(entry.id),
        }

    def _row(self, key: RowKey) -> shapes.Shown:
        """By its key, with its text if that is known."""
        found = self.texts.get(key)
        text = text_of(found.fields.get(self.shown.text or "")) if found is not None else None
        return shapes.Shown(key=str(key), text=text)


def showing(services: Services, shelved: Shelved, keys: Sequence[RowKey] = ()) -> Showing:
    """With the texts of some rows."""
    browser = services.browser
    color = services.maps.colors(browser.profile().identity)
    return Showing(shelved, browser.fields(), color, browser.texts_of(keys))


def near(found: Near) -> shapes.NearCluster:
    entry = found.entry
    return shapes.NearCluster(
        id=entry.id, title=titled(entry), size=entry.size, cosine=round(found.cosine, 4)
    )


def interest(entry: CatalogueEntry, shelved: Shelved) -> int | None:
    """What a language model judged, 0 to 100."""
    card = shelved.explanation.get(entry.id)
    said = card.commentary if card is not None else None
    return said.interestingness if said is not None else None


def card_json(card: Card) -> dict[str, Any]:
    """The card with keys of rows as text."""
    found: dict[str, Any] = _keys_as_text(plain(card.to_json()))
    return found


def _keys_as_text(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _keys_as_text(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [_keys_as_text(one, name) for one in value]
    if name in ("key", "others", "cited") and isinstance(value, int):
        return str(value)
    return value


def _listed(lineage: str) -> list[Any]:
    try:
        found = plain(json.loads(lineage))
    except ValueError:
        return []
    return found if isinstance(found, list) else []


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), 6)
