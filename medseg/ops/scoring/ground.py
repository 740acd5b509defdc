"""What all regions of a scan are cut from: label numbers, body and certainty, in the plane where there is one slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from medseg.ops.scoring.overlap import Box, union_box
from medseg.ops.scoring.pair import Pair, widened
from medseg.ops.scoring.surfaces import flat_axis
from medseg.values.error import Refusal
from medseg.values.labels import LabelScheme
from medseg.values.volume import Array, BoolArray, FloatArray, Volume


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One case on its canonical grid: truth and prediction (None: failed) `(1, X, Y, Z)`, body `(X, Y, Z)`.

    `annotated` names the labels that were looked for, None for all. `probabilities` `(X, Y, Z)` 0..1 are those of some
    regions by name, as far as they were kept.
    """

    truth: Volume
    predicted: Volume | None
    body: BoolArray
    annotated: Sequence[str] | None = None
    probabilities: Mapping[str, FloatArray] = field(default_factory=dict)


class Ground:
    """A scan made ready: label numbers uint8 in the box of everything that is not background, and `margin` voxels more.

    kept: which voxels `(X, Y, Z)` somebody annotated, None for all. ignored: how many nobody did.
    A scan with one slice loses that axis. Refuses a prediction of another shape than the truth.
    """

    def __init__(self, scan: Scan, scheme: LabelScheme, margin: int = 0) -> None:
        """Find the box; the arrays of the scan are looked at, never changed."""
        self.scheme, self.margin = scheme, margin
        shape = scan.truth.shape
        self._flat = flat_axis(shape)
        self.spacing_mm = tuple(e for axis, e in enumerate(scan.truth.spacing_mm) if axis != self._flat)
        self.voxel_ml = scan.truth.voxel_ml
        truth = self.flat(scan.truth.voxels[0])
        predicted = np.zeros_like(truth) if scan.predicted is None else self.flat(scan.predicted.voxels[0])
        self.shape = truth.shape
        self.kept = None if scheme.ignore is None else np.asarray(truth != scheme.ignore, np.bool_)
        self.ignored = 0 if self.kept is None else truth.size - int(np.count_nonzero(self.kept))
        self.box: Box = widened(union_box(truth != 0, predicted != 0), margin, truth.shape)
        self.truth = np.ascontiguousarray(truth[self.box])
        self.predicted = np.ascontiguousarray(predicted[self.box])

    @property
    def annotated_voxels(self) -> int:
        """How many voxels of the scan somebody annotated."""
        return int(np.prod(self.shape)) - self.ignored

    def flat(self, array: Array) -> Array:
        """Take from `(X, Y, Z)` the axis of the single slice, where there is one."""
        return array if self._flat is None else array.squeeze(self._flat)

    def whole(self, mask: BoolArray) -> BoolArray:
        """Put a mask of the box back into an empty scan."""
        result = np.zeros(self.shape, np.bool_)
        result[self.box] = mask
        return result

    def judged(self, body: BoolArray) -> BoolArray:
        """Return the voxels of the body `(X, Y, Z)` that somebody annotated."""
        inside = self.flat(body)
        return inside if self.kept is None else inside & self.kept

    def masks(self, region: str) -> tuple[BoolArray, BoolArray]:
        """Return truth and prediction of a region in the box; in neither are voxels that nobody annotated."""
        truth, predicted = (_among(mask, self.scheme.regions[region]) for mask in (self.truth, self.predicted))
        return truth, predicted if self.kept is None else predicted & self.kept[self.box]

    def pair(self, region: str) -> Pair:
        """Return a region in truth and prediction; its size is that of the box."""
        return Pair(*self.masks(region), self.spacing_mm, self.voxel_ml, self.margin)

    def healthy(self, body: BoolArray) -> Pair:
        """Return the body without tumour, in truth and prediction."""
        truth, predicted = (self._without(body, tumour) for tumour in self.masks(self.scheme.tumour))
        return Pair(truth, predicted, self.spacing_mm, self.voxel_ml)

    def _without(self, body: BoolArray, tumour: BoolArray) -> BoolArray:
        left = self.judged(body).copy()
        left[self.box] &= ~tumour
        return left

    def table(self) -> Array:
        """Count class pairs of all annotated voxels: `(K, K)` int64, row = truth, column = prediction.

        Refuses numbers that are no labels.
        """
        codes = self.truth.astype(np.uint16) << 8 | self.predicted
        pairs = np.bincount(codes.ravel(), minlength=1 << 16).reshape(256, 256)
        pairs[0, 0] += int(np.prod(self.shape)) - self.truth.size
        if self.scheme.ignore is not None:
            pairs[self.scheme.ignore] = 0
        known = list(self.scheme.values)
        strange = sorted({int(number) for axis in (0, 1) for number in np.flatnonzero(pairs.sum(axis))} - set(known))
        if strange:
            raise Refusal("mask", f"labels are among {self.scheme.allowed}", strange, "name them in data.labels")
        return pairs[np.ix_(known, known)]


def _among(mask: Array, numbers: Sequence[int]) -> BoolArray:
    """Return where a mask holds one of a few numbers: a table of all numbers would take longer."""
    found = np.zeros(mask.shape, np.bool_)
    for number in numbers:
        found |= mask == number
    return found
