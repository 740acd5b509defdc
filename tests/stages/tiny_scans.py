"""A small image, a mask with a core and a rim, and writing them with nibabel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np

Array = np.ndarray[Any, Any]
AFFINE = np.array([[-1.5, 0, 0, 10], [0, 2, 0, -20], [0, 0, 3, 30], [0, 0, 0, 1.0]])


def voxels(seed: int = 1) -> Array:
    """Make an image."""
    return np.random.default_rng(seed).normal(100, 20, (8, 7, 6)).astype(np.float32)


def labels() -> Array:
    """Make a mask with 6 voxels of core and 12 of rim."""
    mask = np.zeros((8, 7, 6), np.uint8)
    mask[2:4, 2:5, 2:5] = 2
    mask[2:4, 2:5, 3] = 1
    return mask


def save(path: Path, array: Array, affine: Array = AFFINE) -> Path:
    """Write a file with nibabel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.Nifti1Image(array, affine).to_filename(path)
    return path
