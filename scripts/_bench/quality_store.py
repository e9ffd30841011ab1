"""What the quality bench has measured, one line of JSON each.

In: a ``Cell`` and its result, a dictionary of plain numbers. Out: the file, and ``Results``.
Promise: a line is written as soon as it is measured, and none is changed; of two lines on the same
cell the later holds. So a run that was interrupted goes on, and two runs may share one file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """``rows``: as many as the set has then. ``centred``: the mean was taken from the vectors.
    ``variant``: empty, or what was done to rows or settings, see ``quality_variants``.
    """

    set: str
    method: str
    rows: int
    centred: bool
    variant: str = ""


class Store:
    """The lines of one file; a file that is not there is an empty one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: dict[Cell, Result] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                found = json.loads(line)
                self._kept[Cell(**found["cell"])] = found["result"]

    def get(self, cell: Cell) -> Result | None:
        return self._kept.get(cell)

    def put(self, cell: Cell, result: Result) -> None:
        self._kept[cell] = result
        with self._path.open("a") as file:
            file.write(json.dumps({"cell": asdict(cell), "result": result}) + "\n")

    def results(self, sizes: Mapping[str, int], centred: bool) -> Results:
        """What is known of these sets at these sizes."""
        return Results(
            {
                (cell.set, cell.method, cell.variant): result
                for cell, result in self._kept.items()
                if cell.centred == centred and sizes.get(cell.set) == cell.rows
            }
        )


class Results:
    """Results by set, method and variant; one that failed or took too long has a ``note``."""

    def __init__(self, found: Mapping[tuple[str, str, str], Result]) -> None:
        self._found = dict(found)

    def get(self, name: str, method: str, variant: str = "") -> Result | None:
        """None where it was not measured."""
        return self._found.get((name, method, variant))

    def good(self, name: str, method: str, variant: str = "") -> Result | None:
        """None where there is nothing, or nothing but a note."""
        found = self.get(name, method, variant)
        return None if found is None or "note" in found else found

    def all_good(
        self, names: Iterable[str], method: str, variant: str = ""
    ) -> dict[str, Result] | None:
        """The results of all these sets, None unless all are good."""
        found = {name: self.good(name, method, variant) for name in names}
        whole = {name: result for name, result in found.items() if result is not None}
        return whole if len(whole) == len(found) and found else None

    def methods(self) -> set[str]:
        return {method for _, method, _ in self._found}

    def variants(self) -> list[str]:
        """In the order in which they were first measured."""
        return list(dict.fromkeys(variant for _, _, variant in self._found if variant))

    def __iter__(self) -> Iterator[tuple[tuple[str, str, str], Result]]:
        return iter(self._found.items())
