"""A scan in memory.

Axes, everywhere in medseg: arrays `(C, X, Y, Z)`, batches `(B, C, *space)`, classes `K`;
`*space` is `X, Y, Z` in 3D and two of them in 2D. World coordinates are RAS+ millimetres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseg.values.error import Refusal

Array = NDArray[Any]
FloatArray = NDArray[np.floating[Any]]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """Voxels `(C, X, Y, Z)` and the affine `(4, 4)` that takes voxel indices to RAS+ mm."""

    voxels: Array
    affine: FloatArray

    def __post_init__(self) -> None:
        if self.voxels.ndim != 4 or 0 in self.voxels.shape:
            raise Refusal("volume", "voxels are a non-empty (C, X, Y, Z)", self.voxels.shape, "add the channel axis")
        if self.affine.shape != (4, 4) or not np.isfinite(self.affine).all():
            raise Refusal("volume", "the affine is a finite 4x4 matrix", self.affine.tolist(), "mend the header")
        if abs(np.linalg.det(self.affine[:3, :3])) < 1e-12:
            raise Refusal("volume", "the affine can be inverted", self.affine.tolist(), "mend the header")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along X, Y and Z, without the channels."""
        _, x, y, z = self.voxels.shape
        return x, y, z

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Edges of one voxel in mm, in index order."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0
