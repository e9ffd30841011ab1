"""Maps to look at: a few clear clusters, names and texts that would harm a page.

In: dimensions. Out: a ``MapView`` of 620 rows: clusters 0 to 5 (4 pinned, 5 hidden), noise, one row
without a place.
"""

from __future__ import annotations

import base64
import io

import numpy as np

from vdbcluster.model.maps import MapCluster, MapView

EACH, NOISE_ROWS = 100, 20
HARM = "<img src=x onerror=\"document.title='ran'\"></script><script>document.title='ran'</script>"
NAMES = ("Late parcels", "配送の遅れと返金", "שירות לקוחות", HARM, "Pinned one", "Hidden one")
TEXTS = (
    "the courier lost parcel {}",
    "荷物が届かない {} 番",
    "החבילה מספר {} לא הגיעה",
    HARM + " \u2028 \u202e row {}",
    "needle of row {}",
    "hidden text {}",
)
WHERE = ((0, 0), (6, 0), (0, 6), (6, 6), (3, 3), (9, 3))


def map_view(dimensions: int = 2, *, pictures: bool = False) -> MapView:
    rng = np.random.default_rng(0)
    labels = np.concatenate([np.repeat(np.arange(6), EACH), np.full(NOISE_ROWS, -1)])
    centers = np.array([(*place, 3.0 * (i % 3))[:dimensions] for i, place in enumerate(WHERE)])
    points = np.concatenate(
        [
            np.repeat(centers, EACH, axis=0) + rng.normal(0, 0.45, (6 * EACH, dimensions)),
            rng.uniform(-2, 11, (NOISE_ROWS, dimensions)),
        ]
    ).astype(np.float32)
    points[-1] = np.nan
    texts = [TEXTS[label].format(row) if label >= 0 else None for row, label in enumerate(labels)]
    clusters = tuple(
        MapCluster(
            i,
            EACH,
            name=name,
            description=f"About {name}",
            keywords=("parcel", f"word{i}"),
            pinned=i == 4,
            hidden=i == 5,
        )
        for i, name in enumerate(NAMES)
    )
    inner = tuple(
        MapCluster(0, 50, name=name, path=path, at=tuple(map(float, centers[0] + shift)))
        for name, path, shift in (("Inner east", "0/0", 0.4), ("Inner west", "0/1", -0.4))
    )
    return MapView(
        title=f"parcels {HARM}",
        keys=np.arange(2**60, 2**60 + len(labels)),
        points=points,
        labels=labels,
        probability=rng.random(len(labels)).astype(np.float32),
        clusters=clusters,
        texts=tuple(texts),
        images=tuple(picture(label) for label in labels) if pictures else None,
        facts={"rows": f"{len(labels):,}", "note": HARM},
        inner=inner,
        shown={0: (7, 3)},
    )


def picture(label: int) -> str:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (8, 8), (250, 40 * max(label, 0), 10)).save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
