"""Where the viewer starts: in the middle of what is most worth seeing."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from medseg.values.volume import Array, BoolArray

Voxel = tuple[int, int, int]


def starting_voxel(
    truth: Array | None, predicted: Array, tumour: Collection[int], spacing_mm: Sequence[float]
) -> Voxel:
    """Return the middle of the thickest place where truth and prediction disagree about the tumour.

    truth (None: nobody looked), predicted: `(X, Y, Z)` label numbers.  Where they agree, or truth is unknown, it is the
    thickest place of the tumour; without any, that of any label; without any, the middle voxel.  The first of equals.
    """
    found = np.isin(predicted, list(tumour))
    there = found if truth is None else np.isin(truth, list(tumour))
    marked = (predicted != 0) | (there if truth is None else truth != 0)
    for mask in (found ^ there, found | there, marked):
        if mask.any():
            return _thickest(mask, spacing_mm)
    x, y, z = (size // 2 for size in predicted.shape)
    return x, y, z


def _thickest(mask: BoolArray, spacing_mm: Sequence[float]) -> Voxel:
    """Return the voxel of a mask that is farthest, in mm, from everything that is not in it."""
    from scipy import ndimage

    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    depth = ndimage.distance_transform_edt(np.pad(mask[box], 1), sampling=spacing_mm)
    x, y, z = (
        int(at) - 1 + part.start for at, part in zip(np.unravel_index(depth.argmax(), depth.shape), box, strict=True)
    )
    return x, y, z
