"""One case as it is drawn: voxels on canonical axes, with what is true and what was predicted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from medseg.values.volume import Array, FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Pictured:
    """A case to draw, on canonical (RAS+) axes; every array is `(X, Y, Z)`.

    image: float32 of one channel, None where only masks are at hand.  truth, predicted: uint8 label numbers, ignored
    voxels are 0 in both.  affine: `(4, 4)`, voxel index to RAS+ mm.  known: whether somebody looked for the tumour
    region, else `truth` says nothing about it and is not shown.  unlike: what of the scan is unlike those that a model
    was trained on, one line each.
    """

    image: FloatArray | None
    truth: Array
    predicted: Array
    spacing_mm: tuple[float, float, float]
    known: bool = True
    affine: FloatArray | None = None
    unlike: tuple[str, ...] = ()

    @property
    def world(self) -> FloatArray:
        """The affine `(4, 4)`; where none is known, the one that has the spacing and starts at 0 mm."""
        return np.diag([*self.spacing_mm, 1.0]) if self.affine is None else self.affine


Scans = Mapping[str, Callable[[], Pictured]]
"""Loads a case when it is drawn, one at a time; a case without a prediction is absent."""
