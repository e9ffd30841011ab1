"""Settings of scale: how much memory a run may take, who works on it, where its pieces lie.

In: values of the ``scale`` section. Out: a frozen ``ScaleSettings``.
Promise: the same labels whatever these say; a size is bytes by then, however it was written.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, model_validator

from vdbcluster.config.base import Auto, Count, Section, setting

LEAST_MEMORY = 512 * 10**6
"""Python, the libraries and their compiled code take most of that before a row is read."""
_UNITS = {"": 1, "B": 1}
_UNITS |= {f"{letter}B": 1000**power for power, letter in enumerate("KMGT", 1)}
_UNITS |= {f"{letter}IB": 1024**power for power, letter in enumerate("KMGT", 1)}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d+)?)\s*([a-z]*)", re.IGNORECASE)


def size(value: Any) -> Any:
    """Bytes of ``8GB`` (10^9 each), ``1.5GiB`` (2^30 each), ``512MB`` or a plain number.

    Raises ``ValueError`` for what is no size, or less than a run takes in any case.
    """
    if value == "auto":
        raise ValueError("auto is no number of bytes")  # the other half of the setting takes it
    found = _SIZE.fullmatch(str(value).strip())
    unit = _UNITS.get(found[2].upper()) if found else None
    if isinstance(value, bool) or found is None or unit is None:
        raise ValueError("write a size such as 8GB, 1.5GiB, 512MB or a number of bytes, or auto")
    held = int(float(found[1]) * unit)
    if held < LEAST_MEMORY:
        raise ValueError(
            f"that is {held:,} bytes, and a run takes {LEAST_MEMORY // 10**6} MB in any case; "
            "allow at least 512MB"
        )
    return held


class ScaleSettings(Section):
    """Scale: memory, workers, and what is kept between runs. Labels are the same either way."""

    memory_limit: Annotated[int, BeforeValidator(size)] | Auto = setting(
        "auto",
        "Resident memory that the run may reach, such as 8GB: large arrays become memory maps; "
        "auto: no limit but --memory-mb.",
    )
    workers: int = setting(
        0, "Processes of this machine that share the work; 0: this one alone.", ge=0, le=1024
    )
    scheduler: str = setting(
        "", "Address of a Dask scheduler whose workers share the work, such as tcp://dask:8786."
    )
    work_dir: str = setting(
        "",
        "Folder, or URL such as s3://bucket/work, where pieces of unfinished work lie; workers on "
        "other machines must reach it. Default: work in --runs-dir.",
    )
    shards: Count | Auto = setting(
        "auto", "Pieces that rows are cut into; auto: about 50,000 rows each, some a worker."
    )
    reuse: bool = setting(
        True, "Take the neighbours that an earlier run has found, where nothing has changed."
    )
    incremental: bool = setting(
        False, "Carry the last neighbours over and search new and changed rows only."
    )

    @model_validator(mode="after")
    def _agree(self) -> ScaleSettings:
        if self.workers and self.scheduler:
            raise ValueError(
                f"there are workers ({self.workers}) and a scheduler, which has workers of its "
                "own; leave one of them out"
            )
        if self.incremental and not self.reuse:
            raise ValueError(
                "incremental carries over what an earlier run has found, and reuse is off; leave "
                "one of them out"
            )
        if self.scheduler and not self.work_dir:
            raise ValueError(
                "a scheduler's workers may be on other machines: say where pieces lie that all of "
                "them reach with --work-dir (a shared folder, or s3://bucket/work)"
            )
        return self

    @property
    def parallel(self) -> bool:
        """Whether other processes share the work."""
        return bool(self.workers or self.scheduler)
