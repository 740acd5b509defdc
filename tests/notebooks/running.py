"""A notebook as its reader runs it: in a kernel of its own, cell after cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def read(name: str) -> Any:
    """Return a notebook of the project."""
    return nbformat.read(NOTEBOOKS / name, as_version=4)  # type: ignore[no-untyped-call]


def execute(name: str, folder: Path) -> list[Any]:
    """Run a notebook as it is in `folder`, which stands for its own, and return the outputs of all cells."""
    notebook = read(name)
    where = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=900, kernel_name="python3", resources=where).execute()
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def printed(outputs: list[Any]) -> str:
    """Return what was written to standard output, and every result as text."""
    texts = [one.text for one in outputs if one.output_type == "stream" and one.name == "stdout"]
    return "".join(texts) + "\n".join(shown(outputs, "text/plain"))


def shown(outputs: list[Any], kind: str) -> list[str]:
    """Return everything that was displayed as `kind`, e.g. "text/html"."""
    return [one.data[kind] for one in outputs if kind in one.get("data", {})]
