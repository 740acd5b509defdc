from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

from tests.report.tiny_run import make_run

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "inspect_run.ipynb"


def test_the_notebook_shows_a_run(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    [parameters] = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert parameters.source == 'run = "../runs/phantom"'
    parameters.source = f"run = {str(run)!r}"
    root = str(NOTEBOOK.parent)
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": root}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "On 4 held-out patients with tumour" in printed
    assert "gone: Dice 0.000 out of memory" in printed
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 2
    pages = [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    assert len(pages) == 4
    assert sum("<svg" in page for page in pages) == 1


def test_the_notebook_is_stored_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)
