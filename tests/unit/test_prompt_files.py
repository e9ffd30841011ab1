"""Prompt files of the user's in place of the packaged ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from vdbcluster.adapters.prompt_files import prompts_from
from vdbcluster.commentary.templates import Prompts
from vdbcluster.errors import UsageError


def test_a_file_takes_the_place_of_the_packaged_one(tmp_path: Path) -> None:
    (tmp_path / "compare.user.md").write_text("\ufeffA: {{a}} B: {{b}}", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("{{nothing}}")
    found, packaged = prompts_from(tmp_path), Prompts.packaged()
    assert found.filled("compare.user.md", a="x", b="y") == "A: x B: y"
    assert {**found.texts, "compare.user.md": ""} == {**packaged.texts, "compare.user.md": ""}
    assert found.version != packaged.version
    assert prompts_from(None) == packaged


def test_what_cannot_be_used_is_one_line_with_its_name(tmp_path: Path) -> None:
    def message(folder: Path) -> str:
        with pytest.raises(UsageError) as caught:
            prompts_from(folder)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "no prompt file in" in message(tmp_path)
    assert "absent" in message(tmp_path / "absent")
    bad = tmp_path / "cluster.user.md"
    bad.write_bytes(b"\xff{{texts}}")
    assert "cluster.user.md is not UTF-8" in message(tmp_path)
    bad.write_text("{{texts}} {{colour}}")
    assert "cluster.user.md has the placeholder {{colour}}" in message(tmp_path)
    bad.rename(tmp_path / "README.md")
    assert "README.md is no prompt file" in message(tmp_path)
