"""The notebooks and the guide run as they are from a fresh checkout; one set of phantoms serves all."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.notebooks.running import NOTEBOOKS, execute, printed, read, shown

GUIDE = NOTEBOOKS.parent / "docs" / "python.md"
NAMES = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder in place of `notebooks/`; what is made lies beside it."""
    folder = tmp_path_factory.mktemp("checkout") / "notebooks"
    folder.mkdir()
    return folder


def test_look_at_data_shows_scans_findings_and_batches(folder: Path) -> None:
    outputs = execute("look_at_data.ipynb", folder)
    pages = shown(outputs, "text/html")
    assert sum("phantom_001" in page and "spacing_x_mm" in page for page in pages) == 1
    assert sum(page.count("<img") == 18 for page in pages) == 1
    assert sum("<iframe" in page for page in pages) == 1
    assert any("in a batch" in page for page in pages)
    assert len(shown(outputs, "image/png")) == 3
    words = "".join(pages)
    assert "unchanged" not in words.split("changes")[-1] or "flipped" in words


def test_inspect_run_makes_a_run_and_shows_it(folder: Path) -> None:
    outputs = execute("inspect_run.ipynb", folder)
    pages = shown(outputs, "text/html")
    summary = json.loads((folder.parent / "runs" / "quick" / "report" / "summary.json").read_text())
    assert summary["answer"] in printed(outputs)
    assert sum("<svg" in page for page in pages) == 1
    assert sum("<iframe" in page for page in pages) == 1
    assert len(shown(outputs, "image/png")) == 3
    assert all(any(case in page for page in pages) for case in summary["held_out"])


def test_compare_runs_trains_four_and_says_which_is_better(folder: Path) -> None:
    outputs = execute("compare_runs.ipynb", folder)
    runs = sorted(path.name for path in (folder.parent / "runs").glob("*-*"))
    assert runs == ["flat-seed=1", "flat-seed=2", "solid-seed=1", "solid-seed=2"]
    assert "Dice" in printed(outputs)
    assert "seed" in printed(outputs)
    assert any("<iframe" in page for page in shown(outputs, "text/html"))
    assert len(shown(outputs, "image/png")) == 2


def test_the_examples_of_the_guide_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder.parent)
    names: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 6
    for block in blocks:
        exec(compile(block, str(GUIDE), "exec"), names)  # noqa: S102
    assert names["run"].name == "quick"
    assert "a judged scan of this folder" in capsys.readouterr().out
    assert names["comparison"].sentences


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_stored_without_outputs(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)
            assert len(cell.source.splitlines()) <= 12


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_takes_its_folder_from_the_first_cell(name: str) -> None:
    first, *others = [cell for cell in read(name).cells if cell.cell_type == "code"]
    assert "parameters" in first.metadata["tags"]
    assert len(first.source.splitlines()) == 1
    assert first.source.startswith(("folder = None", "folders = None"))
    assert not any("parameters" in cell.metadata.get("tags", []) for cell in others)


def test_there_are_the_three_that_the_guide_names() -> None:
    assert NAMES == ["compare_runs.ipynb", "inspect_run.ipynb", "look_at_data.ipynb"]
