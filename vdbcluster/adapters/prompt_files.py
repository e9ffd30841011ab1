"""Prompt files of the user's, each in place of the packaged one of its name.

In: a folder, or none. Out: ``Prompts``. Promise: every ``.md`` file of the folder is used, or it is
one line of ``UsageError`` that names it.
"""

from __future__ import annotations

from pathlib import Path

from vdbcluster.commentary.templates import Prompts
from vdbcluster.errors import UsageError


def prompts_from(folder: Path | None) -> Prompts:
    """The packaged prompts, with those of the folder in their place."""
    packaged = Prompts.packaged()
    if folder is None:
        return packaged
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".md")
        own = {path.name: _read(path) for path in paths}
    except OSError as error:
        raise UsageError(f"prompts cannot be read: {error}; check --prompts") from error
    if not own:
        raise UsageError(
            f"there is no prompt file in {folder}; they are called {', '.join(packaged.texts)}"
        )
    return packaged.replaced(own)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"the prompt file {path} is not UTF-8: {error}") from error
