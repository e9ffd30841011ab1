"""The notebooks run from top to bottom, on a machine that has nothing but this package."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

HOME = Path(__file__).resolve().parents[2] / "scripts" / "notebooks"
NOTEBOOKS = ("01-first-clustering", "02-good-settings", "03-what-changed")
SECONDS = 200


class ThisPython(KernelSpecManager):
    """One kernel, the interpreter that runs the tests, wherever kernels are installed."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        argv = [
            sys.executable,
            "-W",
            "error",
            "-m",
            "ipykernel_launcher",
            "-f",
            "{connection_file}",
        ]
        return KernelSpec(argv=argv, display_name=kernel_name, language="python")


@pytest.fixture
def quiet_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jupyter and IPython write their files into the folder of the test."""
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))


async def run(notebook: Any) -> None:
    manager = AsyncKernelManager(kernel_spec_manager=ThisPython(), kernel_name="python3")
    client = NotebookClient(
        notebook, km=manager, timeout=SECONDS, resources={"metadata": {"path": str(HOME)}}
    )
    await client.async_execute(reset_kc=True, cleanup_kc=True)


def outputs(notebook: Any) -> list[str]:
    """What each cell of code printed or showed as text."""
    return [
        "".join(
            out.get("text") or out.get("data", {}).get("text/plain", "") for out in cell.outputs
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


QUICK, *LONG = NOTEBOOKS
TOLD = {
    "01-first-clustering": ("0 unchanged, 0 wrong", "of a cluster come from one module"),
    "02-good-settings": ("best of the sweep: run", "purity where clustered"),
    "03-what-changed": ("born", "rows came, 50 went"),
}


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("quiet_home")
@pytest.mark.parametrize(
    "name", [QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in LONG)]
)
def test_it_runs_from_top_to_bottom(name: str) -> None:
    notebook = nbformat.read(HOME / f"{name}.ipynb", as_version=4)
    asyncio.run(run(notebook))
    told = "\n".join(outputs(notebook))
    assert all(line in told for line in TOLD[name])


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_kept_without_outputs(name: str) -> None:
    text = (HOME / f"{name}.ipynb").read_text()
    notebook = json.loads(text)
    nbformat.validate(nbformat.reads(text, as_version=4))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
