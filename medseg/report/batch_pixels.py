"""The pixels of one channel of a patch: grey, with the outline of every class in its colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from medseg.report.overlays import Plane, cut
from medseg.report.painting import outline
from medseg.values.labels import IGNORED
from medseg.values.palette import colour_of
from medseg.values.volume import Array, BoolArray, FloatArray

UNKNOWN, NOT_A_NUMBER = (150, 156, 166), (255, 0, 200)
_LINE = 2


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """One patch: image `(C, X, Y, Z)`, classes `(X, Y, Z)`, and the voxel that the planes go through."""

    image: FloatArray
    classes: Array
    centre: tuple[int, int, int]


def patch_of(image: FloatArray, classes: Array, plane: int | None) -> Patch:
    """Return a patch with the planes that show most classes, of equals the most of them, else the middle ones.

    Numbers that are not finite come before labels. A slice `(C, *plane)`, cut across the axis `plane`, gets that axis
    back with length 1.
    """
    if plane is not None:
        image, classes = np.expand_dims(image, plane + 1), np.expand_dims(classes, plane)
    broken = ~np.isfinite(image).all(0)
    shown = np.asarray(broken if broken.any() else np.where(classes == IGNORED, 0, classes))
    x, y, z = (_telling(shown, axis) for axis in range(3))
    return Patch(image, classes, (x, y, z))


def _telling(classes: Array, axis: int) -> int:
    """Return the slice with the most different classes, then the most voxels of them; of equals the middle one."""
    others = tuple(other for other in range(3) if other != axis)
    areas = np.stack([(classes == index).sum(axis=others) for index in np.unique(classes) if index] or [[0]])
    score = (areas > 0).sum(axis=0) * classes.size + areas.sum(axis=0)
    best = np.flatnonzero(score == score.max())
    return int(best[len(best) // 2]) if score.any() else int(classes.shape[axis] // 2)


def grey_range(values: FloatArray) -> tuple[float, float]:
    """Return the numbers that are shown black and white: the 1st and the 99th percentile of those that are finite."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    for low, high in (np.percentile(finite, (1.0, 99.0)), (finite.min(), finite.max())):
        if high > low:
            return float(low), float(high)
    return float(finite[0]) - 1.0, float(finite[0]) + 1.0


def paint_patch(
    patch: Patch, channel: int, plane: Plane, size: tuple[int, int], grey: tuple[float, float]
) -> Image.Image:
    """Paint one plane of a channel on `size` (width, height) pixels.

    Outlines lie within their class, so that neighbours hide nothing of each other. What was ignored is outlined in
    grey; numbers that are not finite are magenta.
    """
    place = patch.centre[plane.axis]
    flat, classes = (cut(array, plane.axis, place) for array in (patch.image[channel], patch.classes))
    shown = np.clip((np.nan_to_num(flat) - grey[0]) / (grey[1] - grey[0]), 0, 1) * 255
    bright = Image.fromarray(np.ascontiguousarray(shown, np.float32)).resize(size, Image.Resampling.BICUBIC)
    pixels = np.repeat(np.clip(np.asarray(bright), 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
    for index in (int(found) for found in np.unique(classes) if found):
        pixels[outline(_enlarged(classes == index, size), _LINE)] = UNKNOWN if index == IGNORED else colour_of(index)
    pixels[_enlarged(~np.isfinite(flat), size)] = NOT_A_NUMBER
    return Image.fromarray(pixels)


def _enlarged(mask: BoolArray, size: Sequence[int]) -> BoolArray:
    picture = Image.fromarray(np.ascontiguousarray(mask, np.uint8))
    return np.asarray(picture.resize((size[0], size[1]), Image.Resampling.NEAREST), np.bool_)
