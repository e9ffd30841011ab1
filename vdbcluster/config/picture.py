"""Settings of the picture that ``map`` makes.

In: values of the ``picture`` section. Out: a frozen ``PictureSettings``.
"""

from __future__ import annotations

from pathlib import Path

from vdbcluster.config.base import Section, setting


class PictureSettings(Section):
    """Picture: what the file of the map holds."""

    max_mb: float = setting(
        25.0,
        "Largest HTML file, 5 MB of it plotly.js; above it, texts and pictures of rows drawn by "
        "lot stay out, points never.",
        gt=5,
        le=2000,
    )
    hover_chars: int = setting(240, "Characters of a text that are shown.", ge=0, le=10_000)
    image_field: str = setting(
        "",
        "Field with a picture of each row: path, data URI, base64 or bytes, URL (extra images); "
        "default: found by name.",
    )
    image_dir: Path | None = setting(
        None, "Directory that paths of pictures start from; nothing outside it is read."
    )
    fetch_images: bool = setting(False, "Fetch pictures whose field holds an http or https URL.")
    image_size: int = setting(72, "Pixels of the longer side of a thumbnail.", ge=16, le=512)
