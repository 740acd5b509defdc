"""Pictures of a case: plain, truth, prediction, and which voxels are right, missed or false.

Every panel is seen the radiological way: the patient's right (or front) is on the left, head or front on top.
Arrays are `(X, Y, Z)` in canonical RAS+ order; pictures keep millimetres, so anisotropic voxels are not distorted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from medseg.report.pixels import GAP, SIDE, frame, png
from medseg.values.volume import Array, BoolArray

Kind = Literal["image", "truth", "prediction", "agreement"]


@dataclass(frozen=True, slots=True)
class Plane:
    """A viewing direction: the array axis it cuts across, and the letters on its edges (left, right, top, bottom)."""

    name: str
    axis: int
    edges: tuple[str, str, str, str]


PLANES = (
    Plane("sagittal", 0, ("A", "P", "S", "I")),
    Plane("coronal", 1, ("R", "L", "S", "I")),
    Plane("axial", 2, ("R", "L", "A", "P")),
)


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One picture of a case: what it shows, the plane, the 1-based slice number of how many, and the pixels."""

    kind: Kind
    plane: str
    slice: int
    slices: int
    picture: Image.Image

    @property
    def png(self) -> bytes:
        """The picture as PNG bytes, the same for the same pixels."""
        return png(self.picture)


def draw_case(
    image: Array, truth: BoolArray, prediction: BoolArray, spacing_mm: Sequence[float], side: int = SIDE
) -> list[Panel]:
    """Draw a case: image, truth, prediction and agreement in its main plane, then the agreement in the other two.

    image: (X, Y, Z) of any number type; masks (X, Y, Z) boolean.  The panels are squares of `side` pixels with one
    scale for all, each through the slice with the most truth (the most prediction where truth is empty).
    """
    grey = window(image)
    box = body_box(grey, truth | prediction)
    boxed = _Boxed(grey[box], truth[box], prediction[box], tuple(spacing_mm), side)
    main = main_plane(spacing_mm)
    views: list[tuple[Plane, Kind]] = [(main, "image"), (main, "truth"), (main, "prediction"), (main, "agreement")]
    views += [(plane, "agreement") for plane in reversed(PLANES) if plane is not main]
    panels = []
    for plane, kind in views:
        index = best_slice(boxed.truth, boxed.prediction, plane.axis)
        number, count = box[plane.axis].start + index + 1, image.shape[plane.axis]
        panels.append(Panel(kind, plane.name, number, count, boxed.draw(plane, index, kind)))
    return panels


def window(image: Array, white: float = 99.5) -> Array:
    """Map intensities to uint8 grey: the 1st percentile is black, `white` is white; a flat image is black."""
    values = np.nan_to_num(np.asarray(image, np.float32), posinf=0.0, neginf=0.0)
    low, high = np.percentile(values, (1.0, white))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    return np.asarray(np.clip((values - low) / (high - low), 0, 1) * 255, np.uint8)


def main_plane(spacing_mm: Sequence[float]) -> Plane:
    """Return the plane a scan was most likely taken in: across its coarsest axis, axial where the axes are alike."""
    coarsest = int(np.argmax(spacing_mm))
    return PLANES[coarsest] if spacing_mm[coarsest] > 1.5 * min(spacing_mm) else PLANES[2]


def body_box(grey: Array, marks: BoolArray) -> tuple[slice, slice, slice]:
    """Return the box that holds everything brighter than background, and all marks, with a small margin."""
    filled = (grey > 24) | marks
    ranges = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        kept = np.flatnonzero((filled.mean(axis=others) > 0.005) | marks.any(axis=others))
        n = grey.shape[axis]
        low, high = (int(kept[0]), int(kept[-1]) + 1) if kept.size else (0, n)
        margin = 1 + n // 50
        ranges.append(slice(max(0, low - margin), min(n, high + margin)))
    return ranges[0], ranges[1], ranges[2]


def best_slice(truth: BoolArray, prediction: BoolArray, axis: int) -> int:
    """Return the slice across `axis` with the largest truth, else the largest prediction, else the middle one."""
    others = tuple(a for a in range(3) if a != axis)
    for mask in (truth, prediction):
        areas = mask.sum(axis=others)
        if areas.any():
            return int(np.argmax(areas))
    return truth.shape[axis] // 2


def cut(array: Array, axis: int, index: int) -> Array:
    """Cut a slice and turn it the radiological way: (rows, columns), both axes run against RAS+."""
    turned: Array = np.take(array, index, axis=axis).T[::-1, ::-1]
    return turned


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


def join(panels: Sequence[Panel]) -> bytes:
    """Put panels side by side into one PNG, on black."""
    pictures = [panel.picture for panel in panels]
    width = sum(p.width for p in pictures) + GAP * (len(pictures) - 1)
    row = Image.new("P", (width, max(p.height for p in pictures)))
    row.putpalette(pictures[0].getpalette() or [])
    left = 0
    for picture in pictures:
        row.paste(picture, (left, 0))
        left += picture.width + GAP
    return png(row)


@dataclass(frozen=True, slots=True, eq=False)
class _Boxed:
    """A case cut to the body, ready to be drawn."""

    grey: Array
    truth: BoolArray
    prediction: BoolArray
    spacing_mm: tuple[float, ...]
    side: int

    def draw(self, plane: Plane, index: int, kind: Kind) -> Image.Image:
        scale = self.side / max(n * mm for n, mm in zip(self.grey.shape, self.spacing_mm, strict=True))
        axes = [axis for axis in range(3) if axis != plane.axis]
        width, height = (max(1, round(self.grey.shape[a] * self.spacing_mm[a] * scale)) for a in axes)
        grey, truth, prediction = (cut(a, plane.axis, index) for a in (self.grey, self.truth, self.prediction))
        bright, colour = paint(grey, truth, prediction, kind, (width, height))
        return frame(bright, colour, plane.edges, self.side)


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
