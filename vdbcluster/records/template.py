"""Text made of fields: ``"{title}\\n{description}"``.

In: a template; then the values of a row. Out: its field names; the text of the row. Promise: a name
is everything between braces, blanks and dots included; ``{{`` and ``}}`` are plain braces; ``\\n``
and ``\\t``, as a shell passes them on, are line break and tab; a field that a row lacks is empty.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from vdbcluster.errors import UsageError
from vdbcluster.records.values import cast, is_missing

_PART = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|\\n|\\t|[{}]")
_PLAIN = {"{{": "{", "}}": "}", "\\n": "\n", "\\t": "\t"}


class Template:
    """A template, read once. Raises ``UsageError`` where braces do not match or hold nothing."""

    def __init__(self, template: str) -> None:
        self._parts: list[tuple[str, bool]] = []
        end = 0
        for found in _PART.finditer(template):
            self._add(template[end : found.start()], is_field=False)
            if found[1]:
                self._add(found[1], is_field=True)
            elif found[0] in _PLAIN:
                self._add(_PLAIN[found[0]], is_field=False)
            else:
                raise UsageError(
                    f"the template {template!r} has a single {found[0]!r}; write {{field}}, "
                    "or {{ and }} for braces in the text"
                )
            end = found.end()
        self._add(template[end:], is_field=False)
        self.names = tuple(dict.fromkeys(part for part, is_field in self._parts if is_field))
        if template and not self.names:
            raise UsageError(f"the template {template!r} names no field; write {{field}}")

    def _add(self, part: str, *, is_field: bool) -> None:
        if part:
            self._parts.append((part, is_field))

    @property
    def single(self) -> str | None:
        """The field's name, where the text is that field and nothing else."""
        return self.names[0] if len(self._parts) == 1 and self.names else None

    def fill(self, values: Mapping[str, Any]) -> str:
        """The text of a row, empty if all its fields are. Raises ``MisfitError``."""
        found = {name: self._text(values.get(name)) for name in self.names}
        if not any(text.strip() for text in found.values()):
            return ""
        return "".join(found[part] if is_field else part for part, is_field in self._parts)

    @staticmethod
    def _text(value: Any) -> str:
        return "" if is_missing(value) else str(cast(value, "VARCHAR"))


def field_template(name: str) -> str:
    """The template of a text that is one field as it stands."""
    return f"{{{name}}}"
