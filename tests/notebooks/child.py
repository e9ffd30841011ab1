"""Runs one notebook from top to bottom and prints what its cells showed as text.

In: the path of the notebook, as the only argument. Out: lines on standard output; the exit code is
1 if a cell fails. A process of its own: where tests drive a browser, an event loop runs already.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

SECONDS = 200


class ThisPython(KernelSpecManager):
    """One kernel, the interpreter that runs this, wherever kernels are installed."""

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


async def run(notebook: Any, home: Path) -> None:
    manager = AsyncKernelManager(kernel_spec_manager=ThisPython(), kernel_name="python3")
    client = NotebookClient(
        notebook, km=manager, timeout=SECONDS, resources={"metadata": {"path": str(home)}}
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


def main(place: Path) -> None:
    notebook = nbformat.read(place, as_version=4)
    asyncio.run(run(notebook, place.parent))
    sys.stdout.write("\n".join(outputs(notebook)) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
