"""A tiny data set in the `pairs` layout, written with nibabel: blobs in noise, some scans without one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

QUICK = (
    "data.root=data", "data.labels={tumour: 1}", "name=tiny", "network.width=4", "network.levels=2", "training.steps=4",
    "split.held_out=0.25", "split.validation=0.25", "machine.device=cpu", "machine.threads=1",
)  # fmt: skip
AFFINE = np.array([[-2.0, 0, 0, 30], [0, 2.0, 0, -20], [0, 0, 2.5, 10], [0, 0, 0, 1]])


def scan(number: int, healthy: bool = False) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return an image and its mask, both (16, 14, 12)."""
    rng = np.random.default_rng(number)
    image = rng.normal(100, 10, (16, 14, 12)).astype(np.float32)
    mask = np.zeros(image.shape, np.uint8)
    if not healthy:
        x, y, z = rng.integers(3, 8, 3)
        mask[x : x + 4, y : y + 4, z : z + 4] = 1
        image[mask > 0] += 80
    return image, mask


def save(path: Path, voxels: np.ndarray[Any, Any], affine: np.ndarray[Any, Any] = AFFINE) -> None:
    """Write one NIfTI file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)


def make_data(folder: Path, scans: int = 8, healthy: int = 2) -> Path:
    """Write the data set into `folder`/data: case_0 .. case_7, the last ones healthy."""
    for number in range(scans):
        image, mask = scan(number, healthy=number >= scans - healthy)
        save(folder / "data" / "images" / f"case_{number}.nii.gz", image)
        save(folder / "data" / "labels" / f"case_{number}.nii.gz", mask)
    return folder / "data"


def start(folder: Path, *words: str, **options: Any) -> subprocess.Popen[str]:
    """Start medseg in `folder`."""
    command = [sys.executable, "-m", "medseg", *words]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def medseg(folder: Path, *words: str, **options: Any) -> tuple[int, str, str]:
    """Run medseg in `folder` to its end: exit code, standard output, standard error."""
    process = start(folder, *words, **options)
    output, errors = process.communicate(timeout=240)
    return process.returncode, output, errors
