"""One case as the viewer needs it: image, truth and prediction on one coarse grid, small enough for a page.

The image goes as one picture, a sheet of all its slices in WebP, because that takes a tenth of the room that the voxels
take packed without loss; grey values are then true to about 1 % of the range. Masks are packed without loss.
"""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from medseg.report.overlays import body_box, window
from medseg.report.pictured import Pictured
from medseg.report.viewer.sheet import columns_of, pack_sheet
from medseg.report.viewer.shrinking import Box, Factors, block_mean, choose_factors, coarse_affine, shrink_labels
from medseg.report.viewer.start import starting_voxel
from medseg.values.volume import Array, FloatArray

TOTAL_BYTES = 18_000_000  # of the page, for the layers of all cases together
MOST_BYTES = 700_000  # of the page, for one case
MOST_VOXELS = 2_500_000  # what a slow machine still draws at once
FEWEST_VOXELS = 4_096
_BITS_PER_VOXEL = 1.0  # of a packed image, about: where it takes more, it is packed with less care
_TEXT = 4 / 3  # characters of base64 per byte
_COARSE = 64  # voxels along an edge that are enough to find the body and its range of grey
_RANGE = (0.5, 99.5)
_LEVEL = 9


@dataclass(frozen=True, slots=True, eq=False)
class CaseLayers:
    """What the page holds of a case.

    shape, affine: the coarse grid, and the `(4, 4)` that takes its voxels to RAS+ mm.  start: the voxel to see first.
    image: WebP sheet of all slices, None where there is no image; `low` and `high` are what black and white mean.
    marks: gzip of truth then prediction, uint8 label numbers, X fastest.  known: whether truth says anything.
    note: what may be said of the case in a line.
    """

    case: str
    shape: tuple[int, int, int]
    affine: FloatArray
    start: tuple[int, int, int]
    image: bytes | None
    low: float
    high: float
    marks: bytes = field(repr=False)
    known: bool = True
    note: str = ""

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """Edges of a coarse voxel in mm."""
        return tuple(float(length) for length in np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def record(self) -> dict[str, Any]:
        """What the script of the viewer reads, as plain values."""
        return {
            "case": self.case,
            "size": list(self.shape),
            "affine": [[round(float(value), 6) for value in row] for row in self.affine[:3]],
            "start": list(self.start),
            "columns": columns_of(*self.shape),
            "image": None if self.image is None else b64encode(self.image).decode("ascii"),
            "range": [round(self.low, 6), round(self.high, 6)],
            "marks": b64encode(self.marks).decode("ascii"),
            "known": self.known,
            "note": self.note,
        }


def share_of(cases: int) -> int:
    """Return how many bytes of the page one of `cases` cases may take, so that all of them keep to `TOTAL_BYTES`."""
    return min(MOST_BYTES, TOTAL_BYTES // max(1, cases))


def make_layers(case: str, pictured: Pictured, tumour: Collection[int], share: int) -> CaseLayers:
    """Make a case small enough for `share` bytes of the page; the same input gives the same bytes.

    The scan is cut to the body and everything marked, and its voxels are joined to as few and as cubic blocks as it
    takes. `tumour` are the label numbers that decide where the viewer starts. Without room for even
    `FEWEST_VOXELS` voxels the smallest that there is comes back.
    """
    box = _cut_box(pictured)
    low, high = _grey_range(pictured, box)
    most = min(MOST_VOXELS, int(share / _TEXT * 8 / _BITS_PER_VOXEL))
    while True:
        factors = choose_factors([part.stop - part.start for part in box], pictured.spacing_mm, most)
        made = _made(case, pictured, tumour, _Cut(box, factors, low, high, share))
        if made is not None and (_size(made) <= share or most <= FEWEST_VOXELS):
            return made
        most = max(FEWEST_VOXELS, most * 2 // 3)


@dataclass(frozen=True, slots=True)
class _Cut:
    """What of a scan is shown and how: box, voxels per block, the range of grey, the bytes it may take."""

    box: Box
    factors: Factors
    low: float
    high: float
    share: int


def _made(case: str, pictured: Pictured, tumour: Collection[int], cut: _Cut) -> CaseLayers:
    truth, predicted = (shrink_labels(mask[cut.box], cut.factors) for mask in (_truth(pictured), pictured.predicted))
    affine = coarse_affine(pictured.world, cut.box, cut.factors)
    marks = gzip.compress(truth.tobytes(order="F") + predicted.tobytes(order="F"), _LEVEL, mtime=0)
    image = None
    if pictured.image is not None:
        room = int(cut.share / _TEXT) - len(marks)
        image = pack_sheet(_grey(block_mean(pictured.image[cut.box], cut.factors), cut.low, cut.high), room)
    x, y, z = truth.shape
    spacing_mm = [float(length) for length in np.linalg.norm(affine[:3, :3], axis=0)]
    start = starting_voxel(truth if pictured.known else None, predicted, tumour, spacing_mm)
    return CaseLayers(case, (x, y, z), affine, start, image, cut.low, cut.high, marks, pictured.known)


def _truth(pictured: Pictured) -> Array:
    return pictured.truth if pictured.known else np.zeros_like(pictured.predicted)


def _size(layers: CaseLayers) -> float:
    return _TEXT * (len(layers.marks) + len(layers.image or b""))


def _cut_box(pictured: Pictured) -> Box:
    """Return the box around the body and all marks, found on few voxels; all of a scan that has no image."""
    shape = pictured.predicted.shape
    if pictured.image is None:
        return slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2])
    steps = [max(1, size // _COARSE) for size in shape]
    few = tuple(slice(None, None, step) for step in steps)
    found = body_box(window(pictured.image[few]), np.zeros(pictured.image[few].shape, np.bool_))
    marked = (pictured.predicted != 0) | (_truth(pictured) != 0)
    x, y, z = (
        _joined(part, step, np.flatnonzero(marked.any(axis=tuple(a for a in range(3) if a != axis))), shape[axis])
        for axis, (part, step) in enumerate(zip(found, steps, strict=True))
    )
    return x, y, z


def _joined(part: slice, step: int, marked: Array, size: int) -> slice:
    """Return a range of few voxels as one of all voxels, wide enough for what is marked and one voxel around it."""
    low, high = part.start * step, min(size, part.stop * step)
    if marked.size:
        low, high = min(low, max(0, int(marked[0]) - 1)), max(high, min(size, int(marked[-1]) + 2))
    return slice(low, high)


def _grey_range(pictured: Pictured, box: Box) -> tuple[float, float]:
    """Return what black and white mean: the 0.5th and the 99.5th percentile inside the box, taken on few voxels."""
    if pictured.image is None:
        return 0.0, 1.0
    inside = pictured.image[box]
    few = inside[tuple(slice(None, None, max(1, size // _COARSE)) for size in inside.shape)]
    values = np.nan_to_num(np.asarray(few, np.float32), posinf=0.0, neginf=0.0)
    low, high = (float(value) for value in np.percentile(values, _RANGE))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low, low + 1.0)


def _grey(image: FloatArray, low: float, high: float) -> Array:
    return np.asarray(np.rint(np.clip((image - low) / (high - low), 0, 1) * 255), np.uint8)
