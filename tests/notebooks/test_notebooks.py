"""The notebooks run from top to bottom, on a machine that has nothing but this package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

HOME = Path(__file__).resolve().parents[2] / "scripts" / "notebooks"
NOTEBOOKS = ("01-first-clustering", "02-good-settings", "03-what-changed")
SECONDS = 550


@pytest.fixture
def quiet_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jupyter and IPython write their files into the folder of the test."""
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))


TOLD = {
    "01-first-clustering": ("0 unchanged, 0 wrong", "of a cluster come from one module"),
    "02-good-settings": ("best of the sweep: run", "purity where clustered"),
    "03-what-changed": ("born", "rows came, 50 went"),
}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("quiet_home")
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs_from_top_to_bottom(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.notebooks.child", HOME / f"{name}.ipynb"],
        cwd=HOME.parents[1],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert all(line in done.stdout for line in TOLD[name])


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_kept_without_outputs(name: str) -> None:
    text = (HOME / f"{name}.ipynb").read_text()
    notebook = json.loads(text)
    nbformat.validate(nbformat.reads(text, as_version=4))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
