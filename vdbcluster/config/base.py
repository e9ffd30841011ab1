"""What every section of the settings is made of.

In: nothing. Out: ``Section``, ``setting`` and the types that sections share.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

Auto = Literal["auto"]
"""Chosen from the data, by the rule of ``pipeline.recipe``."""
Count = Annotated[int, Field(ge=1)]
Size = Annotated[int, Field(ge=2)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=1, allow_inf_nan=False)]
"""So many a second."""


class Section(BaseModel):
    """Settings that belong together; its docstring is the heading in ``--help``."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def setting(default: Any, help_text: str, flag: str = "", **limits: Any) -> Any:
    """A setting with its help and, where it is not the name itself, its command-line flag."""
    extra: JsonDict | None = {"flag": flag} if flag else None
    return Field(default=default, description=help_text, json_schema_extra=extra, **limits)
