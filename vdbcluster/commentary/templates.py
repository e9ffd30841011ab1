"""Prompts as texts with places to fill: ``{{name}}``.

In: texts of prompt files by file name. Out: ``Prompts``, checked; ``filled`` texts.
Promise: every placeholder that a file must have is there, and no other; a value is put in as it is,
and what looks like a placeholder within it stays; a fault is one line with the file's name.

    prompts = Prompts.packaged().replaced({"repair.user.md": "{{answer}} {{faults}} Again."})
    prompts.filled("repair.user.md", answer="...", faults="...")
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

from vdbcluster.errors import UsageError

CLUSTER_SYSTEM, CLUSTER_USER = "cluster.system.md", "cluster.user.md"
NAMES_USER, REPAIR_USER = "names.user.md", "repair.user.md"
COMPARE_SYSTEM, COMPARE_USER = "compare.system.md", "compare.user.md"

NEEDED: dict[str, frozenset[str]] = {
    CLUSTER_SYSTEM: frozenset({"language"}),
    CLUSTER_USER: frozenset({"texts"}),
    NAMES_USER: frozenset({"others"}),
    REPAIR_USER: frozenset({"answer", "faults"}),
    COMPARE_SYSTEM: frozenset(),
    COMPARE_USER: frozenset({"a", "b"}),
}
"""Placeholders that a file must have, by its name."""
ALLOWED: dict[str, frozenset[str]] = {
    CLUSTER_SYSTEM: frozenset({"name_length", "sentence_length", "most_claims"}),
    CLUSTER_USER: frozenset({"size", "keywords", "neighbours"}),
    NAMES_USER: frozenset({"name"}),
}
"""Those that it may have besides."""

_PLACE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Prompts:
    """Every prompt file by name; ``UsageError`` for one that cannot be used."""

    texts: Mapping[str, str]

    def __post_init__(self) -> None:
        for name in NEEDED:
            _check(name, self.texts[name])

    @classmethod
    def packaged(cls) -> Prompts:
        """Those that come with the package."""
        return cls(_packaged())

    def replaced(self, own: Mapping[str, str]) -> Prompts:
        """With texts of the user's; ``UsageError`` for a file that is none of ours."""
        for name in own:
            if name not in NEEDED:
                raise UsageError(f"{name} is no prompt file; there are {', '.join(sorted(NEEDED))}")
        return Prompts({**self.texts, **own})

    @property
    def version(self) -> str:
        """Sixteen hexadecimal digits that differ where any prompt does."""
        told = "\0".join(f"{name}\0{self.texts[name]}" for name in sorted(NEEDED))
        return sha256(told.encode()).hexdigest()[:16]

    def filled(self, file: str, /, **values: str | int) -> str:
        """The text with its values in; those without a place are left out."""
        return _PLACE.sub(lambda place: str(values[place[1].strip()]), self.texts[file]).strip()


def _check(name: str, text: str) -> None:
    if not text.strip():
        raise UsageError(f"the prompt file {name} is empty")
    found = {place[1].strip() for place in _PLACE.finditer(text)}
    allowed = NEEDED[name] | ALLOWED.get(name, frozenset())
    if unknown := found - allowed:
        there = ", ".join(f"{{{{{one}}}}}" for one in sorted(allowed)) or "none"
        raise UsageError(
            f"the prompt file {name} has the placeholder {{{{{min(unknown)}}}}}, which there is "
            f"not; there are {there}"
        )
    if missing := NEEDED[name] - found:
        raise UsageError(f"the prompt file {name} lacks {{{{{min(missing)}}}}}")
    if "{{" in _PLACE.sub("", text):
        raise UsageError(f"the prompt file {name} has {{{{ that no }}}} closes")


@cache
def _packaged() -> dict[str, str]:
    folder = files("vdbcluster.commentary") / "prompts"
    return {name: (folder / name).read_text(encoding="utf-8") for name in NEEDED}
