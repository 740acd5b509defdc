"""How much of two masks is the same: overlap measures from counts that are taken once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from medseg.values.error import Refusal
from medseg.values.volume import Array, BoolArray, FloatArray

EmptyRule = Literal["undefined", "one", "zero"]
Box = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """Voxels of one region: found, invented, missed, and the rest of the scan."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @property
    def truth(self) -> int:
        """Voxels of the truth."""
        return self.true_positive + self.false_negative

    @property
    def predicted(self) -> int:
        """Voxels of the prediction."""
        return self.true_positive + self.false_positive


def union_box(first: BoolArray, second: BoolArray) -> Box | None:
    """Return the smallest box, one slice per axis, that holds every true voxel of both masks; None if there is none."""
    require_same_shape(first, second)
    box: list[slice] = []
    union = first | second
    for axis in range(union.ndim):
        others = tuple(other for other in range(union.ndim) if other != axis)
        found = np.flatnonzero(union.any(axis=others))
        if found.size == 0:
            return None
        box.append(slice(int(found[0]), int(found[-1]) + 1))
        union = union[(slice(None),) * axis + (box[-1],)]
    return tuple(box)


def count(truth: BoolArray, predicted: BoolArray) -> Counts:
    """Count the voxels of two masks of one shape; refuses masks of different shapes."""
    box = union_box(truth, predicted)
    total = truth.size
    if box is None:
        return Counts(0, 0, 0, total)
    inside, guess = truth[box], predicted[box]
    both = int(np.count_nonzero(inside & guess))
    missed = int(np.count_nonzero(inside)) - both
    invented = int(np.count_nonzero(guess)) - both
    return Counts(both, invented, missed, total - both - missed - invented)


def dice(counts: Counts, empty: EmptyRule) -> float | None:
    """Return 2 TP / (2 TP + FP + FN); both masks empty: as `empty` says (undefined is None). Source: Dice 1945."""
    return _ratio(2 * counts.true_positive, counts.truth + counts.predicted, empty)


def iou(counts: Counts, empty: EmptyRule) -> float | None:
    """Return TP / (TP + FP + FN), the Jaccard index; both masks empty: as `empty` says (undefined is None)."""
    return _ratio(counts.true_positive, counts.truth + counts.false_positive, empty)


def sensitivity(counts: Counts, empty: EmptyRule) -> float | None:
    """Return TP / (TP + FN).

    Both masks empty: as `empty` says. Truth empty and prediction not: None, because there was nothing to find (the
    false voxels lower Dice, precision and specificity).
    """
    if counts.truth == 0 and counts.predicted > 0:
        return None
    return _ratio(counts.true_positive, counts.truth, empty)


def precision(counts: Counts, empty: EmptyRule) -> float | None:
    """Return TP / (TP + FP).

    Both masks empty: as `empty` says. Prediction empty and truth not: 0, because leaving the case out would raise the
    mean precision of a model that misses more.
    """
    if counts.predicted == 0 and counts.truth > 0:
        return 0.0
    return _ratio(counts.true_positive, counts.predicted, empty)


def specificity(counts: Counts) -> float | None:
    """Return TN / (TN + FP); None where the truth fills the whole scan."""
    return _ratio(counts.true_negative, counts.true_negative + counts.false_positive, "undefined")


def confusion(truth: Array, predicted: Array, classes: int) -> Array:
    """Count class pairs: `(K, K)` int64, row = truth, column = prediction; both arrays hold class indices 0..K-1."""
    require_same_shape(truth, predicted)
    pairs = truth.astype(np.int64).ravel() * classes + predicted.ravel()
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def pixel_accuracy(table: Array) -> float:
    """Return the share of voxels with the right class, from `confusion`; never a headline: background dominates it."""
    return float(np.trace(table) / table.sum())


def miou(table: Array) -> float:
    """Return the mean IoU of all classes, background included, from `confusion`; one absent from both is left out."""
    both: FloatArray = np.diagonal(table).astype(np.float64)
    either = table.sum(axis=0) + table.sum(axis=1) - both
    return float(np.mean(both[either > 0] / either[either > 0]))


def worth(empty: EmptyRule) -> float | None:
    """Return what a measure of two empty masks is worth; None is undefined."""
    return {"undefined": None, "one": 1.0, "zero": 0.0}[empty]


def require_same_shape(truth: Array, predicted: Array) -> None:
    """Refuse arrays of different shapes, which numpy might stretch over each other."""
    if truth.shape != predicted.shape:
        remedy = "bring the prediction to the grid of the truth"
        raise Refusal("masks", f"the prediction has the truth's shape {truth.shape}", predicted.shape, remedy)


def _ratio(part: int, whole: int, empty: EmptyRule) -> float | None:
    return part / whole if whole > 0 else worth(empty)
