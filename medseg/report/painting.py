"""One slice of a case as brightness and colour numbers: fills, outlines, agreement."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image

from medseg.values.volume import Array, BoolArray

Kind = Literal["image", "truth", "prediction", "agreement"]


def paint(
    grey: Array, truth: BoolArray, prediction: BoolArray, kind: Kind, size: tuple[int, int]
) -> tuple[Array, Array]:
    """Paint one slice on `size` (width, height) pixels: (brightness uint8, colour number uint8).

    grey: (rows, columns) uint8; masks likewise, boolean.  Agreement colours right (1), missed (2) and false (3)
    voxels and outlines the truth in white; truth and prediction outline their mask in white on a black rim.
    """
    bright = np.asarray(Image.fromarray(np.ascontiguousarray(grey)).resize(size, Image.Resampling.BICUBIC)).copy()
    colour = np.zeros(bright.shape, np.uint8)
    if kind == "image":
        return bright, colour
    there, marked = _enlarge(truth, size), _enlarge(prediction, size)
    if kind == "agreement":
        colour[there & marked], colour[there & ~marked], colour[marked & ~there] = 1, 2, 3
        edge = outline(there)
    else:
        mask = there if kind == "truth" else marked
        edge = outline(mask, 2)
        bright[outline(~mask)] = 0
    bright[edge], colour[edge] = 255, 0
    return bright, colour


def _enlarge(mask: BoolArray, size: tuple[int, int]) -> BoolArray:
    enlarged = Image.fromarray(np.ascontiguousarray(mask, np.uint8)).resize(size, Image.Resampling.NEAREST)
    return np.asarray(enlarged, np.bool_)


def outline(mask: BoolArray, width: int = 1) -> BoolArray:
    """Return the innermost pixel lines of a mask, so that an outline never hides a neighbour; the border is no edge."""
    inside = mask
    for _ in range(width):
        rim = np.pad(inside, 1, mode="edge")
        inside = inside & rim[:-2, 1:-1] & rim[2:, 1:-1] & rim[1:-1, :-2] & rim[1:-1, 2:]
    return mask & ~inside
