"""Pictures of a case in three planes: plain, truth, prediction, and which voxels are right, missed or false.

Every panel is seen the radiological way: the patient's right (or front) is on the left, head or front on top.
Arrays are `(X, Y, Z)` in canonical RAS+ order; pictures keep millimetres, so anisotropic voxels are not distorted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from medseg.report.painting import Kind, paint
from medseg.report.pixels import GAP, SIDE, Frame, frame, png
from medseg.values.volume import Array, BoolArray


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
    image: Array | None, truth: BoolArray | None, prediction: BoolArray, spacing_mm: Sequence[float], side: int = SIDE
) -> list[Panel]:
    """Draw a case in three planes, each of them as image, truth, prediction and agreement, in this order.

    image: (X, Y, Z) of any number type, or None: masks alone, on black, and no panel `image`.  truth: (X, Y, Z)
    boolean, or None where nobody looked: no panels `truth` and `agreement`.  The plane the scan was taken in comes
    first, then axial, coronal, sagittal. The panels are squares of `side` pixels with one scale for all, each through
    the slice with the most to see (`best_slice`); a bar on the first panel of a plane says how long a length is.
    """
    there = np.zeros(prediction.shape, np.bool_) if truth is None else truth
    grey = np.zeros(prediction.shape, np.uint8) if image is None else window(image)
    box = _whole(grey) if image is None else body_box(grey, there | prediction)
    boxed = _Boxed(grey[box], there[box], prediction[box], tuple(spacing_mm), side)
    kinds = kinds_of(image is not None, truth is not None)
    panels = []
    for plane in _ordered(main_plane(spacing_mm)):
        index = best_slice(boxed.truth, boxed.prediction, plane.axis)
        number, count = box[plane.axis].start + index + 1, prediction.shape[plane.axis]
        for kind in kinds:
            picture = boxed.draw(plane, index, kind, bar=kind == kinds[0])
            panels.append(Panel(kind, plane.name, number, count, picture))
    return panels


def kinds_of(has_image: bool, known: bool) -> tuple[Kind, ...]:
    """Return the panels of one plane, in order: how many stand side by side."""
    image: tuple[Kind, ...] = ("image",) if has_image else ()
    return (*image, "truth", "prediction", "agreement") if known else (*image, "prediction")


def _ordered(main: Plane) -> tuple[Plane, ...]:
    return (main, *(plane for plane in reversed(PLANES) if plane is not main))


def _whole(grey: Array) -> tuple[slice, slice, slice]:
    x, y, z = (slice(0, n) for n in grey.shape)
    return x, y, z


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
    """Return the slice across `axis` with the most to see, the middle one where both masks are empty.

    What there is to see is the area of truth and prediction together, with missed and false voxels counted twice.
    """
    others = tuple(a for a in range(3) if a != axis)
    areas = (truth | prediction).sum(axis=others) + (truth ^ prediction).sum(axis=others)
    return int(np.argmax(areas)) if areas.any() else truth.shape[axis] // 2


def cut(array: Array, axis: int, index: int) -> Array:
    """Cut a slice and turn it the radiological way: (rows, columns), both axes run against RAS+."""
    turned: Array = np.take(array, index, axis=axis).T[::-1, ::-1]
    return turned


def join(panels: Sequence[Panel]) -> bytes:
    """Put panels into one PNG, on black: one row for each plane, in the order in which they come."""
    planes = list(dict.fromkeys(panel.plane for panel in panels))
    rows = [[panel.picture for panel in panels if panel.plane == plane] for plane in planes]
    width = max(sum(p.width for p in row) + GAP * (len(row) - 1) for row in rows)
    sheet = Image.new("P", (width, sum(row[0].height for row in rows) + GAP * (len(rows) - 1)))
    sheet.putpalette(panels[0].picture.getpalette() or [])
    top = 0
    for row in rows:
        left = 0
        for picture in row:
            sheet.paste(picture, (left, top))
            left += picture.width + GAP
        top += row[0].height + GAP
    return png(sheet)


@dataclass(frozen=True, slots=True, eq=False)
class _Boxed:
    """A case cut to the body, ready to be drawn."""

    grey: Array
    truth: BoolArray
    prediction: BoolArray
    spacing_mm: tuple[float, ...]
    side: int

    def draw(self, plane: Plane, index: int, kind: Kind, bar: bool) -> Image.Image:
        scale = self.side / max(n * mm for n, mm in zip(self.grey.shape, self.spacing_mm, strict=True))
        axes = [axis for axis in range(3) if axis != plane.axis]
        width, height = (max(1, round(self.grey.shape[a] * self.spacing_mm[a] * scale)) for a in axes)
        grey, truth, prediction = (cut(a, plane.axis, index) for a in (self.grey, self.truth, self.prediction))
        bright, colour = paint(grey, truth, prediction, kind, (width, height))
        return frame(bright, colour, Frame(plane.edges, self.side, scale if bar else None))
