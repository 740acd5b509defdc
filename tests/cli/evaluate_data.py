"""Small masks in two folders, and the command `evaluate` in this process."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from medseg.cli.main import main
from medseg.report.scores import Row, read_scores

Array = np.ndarray[Any, Any]
SHAPE = (14, 12, 10)
SPACING = (1.5, 1.25, 2.0)
AFFINE = np.array([[-1.5, 0, 0, 20], [0, 1.25, 0, -7], [0, 0, 2.0, 3], [0, 0, 0, 1.0]])
DIAGONAL = float(np.linalg.norm(np.multiply(SHAPE, SPACING)))
VOXEL_ML = float(np.prod(SPACING)) / 1000


def mask(number: int, *labels: int, shape: tuple[int, ...] = SHAPE) -> Array:
    """Return a mask with a block of each label, elsewhere for each number."""
    rng = np.random.default_rng(number)
    made = np.zeros(shape, np.uint8)
    for label in labels:
        x, y, z = (int(rng.integers(0, size - 4)) for size in shape)
        made[x : x + 4, y : y + 4, z : z + 3] = label
    return made


def moved(truth: Array) -> Array:
    """Return a prediction that is off by a voxel."""
    return np.roll(truth, 1, axis=0)


def save(path: Path, voxels: Array, affine: Array = AFFINE) -> Path:
    """Write a NIfTI file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.Nifti1Image(voxels, affine).to_filename(path)
    return path


def make_sides(folder: Path, count: int = 4, *labels: int) -> list[str]:
    """Write truth/p0.nii.gz and so on, and predictions of them that are off by a voxel; return the names."""
    names = [f"p{number}" for number in range(count)]
    for number, name in enumerate(names):
        truth = mask(number, *(labels or (1,)))
        save(folder / "truth" / f"{name}.nii.gz", truth)
        save(folder / "predictions" / f"{name}.nii.gz", moved(truth))
    return names


def evaluate(folder: Path, *words: str, out: str = "out") -> tuple[int, str, str]:
    """Run `medseg evaluate` on the two folders: exit code, standard output, standard error."""
    sides = {name: f"{name}={folder / name}" for name in ("predictions", "truth")}
    given = {word.partition("=")[0] for word in words}
    paths = [word for name, word in sides.items() if name not in given]
    return run(*paths, f"out={folder / out}", *words)


def run(*words: str) -> tuple[int, str, str]:
    """Run `medseg evaluate` with just these words."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        code = main(["evaluate", "machine.workers=1", *words])
    return code, output.getvalue(), errors.getvalue()


def refused(folder: Path, *words: str, out: str = "out", code: int = 2) -> str:
    """Return the one line that a command is refused with; nothing may have been written."""
    found, output, errors = evaluate(folder, *words, out=out)
    assert (found, output) == (code, ""), errors
    assert not (folder / out / "scores.csv").exists()
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, errors
    return lines[0].removeprefix("error: ")


def rows(out: Path) -> dict[tuple[str, str], Row]:
    """Read scores.csv by case and region."""
    return {(str(row["case"]), str(row["region"])): row for row in read_scores(out / "scores.csv")}


def content(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def made(out: Path) -> dict[str, bytes]:
    """Return every file that a command has written, by its path."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != ".medseg-evaluate"
    }
