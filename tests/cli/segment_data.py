"""Small scans without masks, a small model, and the command `segment` in this process."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from medseg.cli.main import main
from medseg.engines.packages.package import WEIGHTS
from medseg.files.tensors import load_tensors, save_tensors
from tests.packages import package

Array = np.ndarray[Any, Any]
AFFINE = np.array([[1.0, 0, 0, 30], [0, 1.0, 0, -20], [0, 0, 1.0, 10], [0, 0, 0, 1]])
SHAPE = (14, 12, 10)
CPU = ("machine.device=cpu", "machine.threads=1")


def voxels(number: int, shape: tuple[int, ...] = SHAPE) -> Array:
    """Return an image: noise with a bright block."""
    rng = np.random.default_rng(number)
    image = rng.normal(100, 10, shape).astype(np.float32)
    x, y, z = (int(rng.integers(1, size // 2)) for size in shape)
    image[x : x + 4, y : y + 4, z : z + 4] += 80
    return image


def save(path: Path, image: Array, affine: Array = AFFINE) -> Path:
    """Write a NIfTI file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.Nifti1Image(image, affine).to_filename(path)
    return path


def make_scans(folder: Path, count: int, shape: tuple[int, ...] = SHAPE) -> list[str]:
    """Write scans a0.nii.gz, a1.nii.gz and so on into a folder, and return their names."""
    names = [f"a{number}" for number in range(count)]
    for number, name in enumerate(names):
        save(folder / f"{name}.nii.gz", voxels(number, shape))
    return names


def make_model(folder: Path, **others: Any) -> Path:
    """Write a package of random weights whose answers are decided ones: about half of a scan is foreground."""
    package(folder, seed=3, **others)
    weights = load_tensors(folder / WEIGHTS)
    head = weights["heads.0.weight"]
    save_tensors(
        folder / WEIGHTS,
        {**weights, "heads.0.weight": 20 * (head - head.mean(1, True)), "heads.0.bias": weights["heads.0.bias"] * 0},
    )
    return folder


def segment(*words: object) -> tuple[int, str, str]:
    """Run `medseg segment` here: exit code, standard output, standard error."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        code = main(["segment", *CPU, *(str(word) for word in words)])
    return code, output.getvalue(), errors.getvalue()


def listed(out: Path) -> dict[str, Any]:
    """Read segment.json."""
    found: dict[str, Any] = json.loads((out / "segment.json").read_text(encoding="utf-8"))
    return found


def labels(path: Path) -> Array:
    """Read a mask with nibabel."""
    return np.asarray(nibabel.load(path).dataobj)


def bytes_of(out: Path, ending: str = ".nii.gz") -> dict[str, bytes]:
    """Return the content of every mask in a folder."""
    return {path.name: path.read_bytes() for path in sorted(out.glob(f"*{ending}"))}
