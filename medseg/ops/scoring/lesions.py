"""Tumours counted one by one: which were found, which were invented, and the lesion-wise scores of BraTS 2023."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import scipy

from medseg.ops.scoring.overlap import Box, count, dice, union_box
from medseg.ops.scoring.surfaces import drop_flat_axis, hd95_mm, surfaces_between
from medseg.values.settings import Settings
from medseg.values.volume import Array, BoolArray

RuleName = Literal["glioma", "africa", "paediatric", "meningioma", "metastases", "none"]


class LesionRule(Settings):
    """How lesions are told apart and scored one by one; `kind` names the BraTS 2023 task that the numbers come from."""

    kind: RuleName = "none"

    @property
    def dilation(self) -> int:
        """Voxels that a lesion grows before it is told apart and matched."""
        return {"none": 0, "meningioma": 1, "metastases": 1}.get(self.kind, 3)

    @property
    def minimum_mm3(self) -> float:
        """Lesions up to this volume are left out of the scores."""
        return {"none": 0.0, "metastases": 2.0}.get(self.kind, 50.0)

    @property
    def penalty_mm(self) -> float:
        """Distance of a missed or an invented lesion: about the diagonal of a BraTS scan."""
        return 374.0


@dataclass(frozen=True, slots=True)
class Lesion:
    """One connected part of the truth: its volume, and whether the prediction touches it."""

    ml: float
    found: bool


@dataclass(frozen=True, slots=True)
class LesionCounts:
    """Lesions of the truth in index order, and predicted components that touch no truth."""

    lesions: tuple[Lesion, ...]
    false_lesions: int

    @property
    def found(self) -> int:
        """Lesions of the truth that the prediction touches."""
        return sum(lesion.found for lesion in self.lesions)


@dataclass(frozen=True, slots=True)
class LesionScores:
    """Means over lesions and false positives; without either, Dice and F1 are 1 and the distance is 0."""

    dice: float
    hd95_mm: float
    f1: float


@dataclass(slots=True)
class _Sums:
    dice: list[float] = field(default_factory=list)
    hd95_mm: list[float] = field(default_factory=list)
    matched: set[int] = field(default_factory=set)
    hits: int = 0


def count_lesions(truth: BoolArray, predicted: BoolArray, voxel_ml: float) -> LesionCounts:
    """Count lesions, components of 26-connected voxels (in one slice 8); one voxel of overlap finds a lesion."""
    box = union_box(truth, predicted)
    if box is None:
        return LesionCounts((), 0)
    inside, guess = truth[box], predicted[box]
    lesions, lesion_count = _components(inside)
    guesses, guess_count = _components(guess)
    sizes = np.bincount(lesions.ravel(), minlength=lesion_count + 1)
    found = np.zeros(lesion_count + 1, bool)
    found[lesions[guess]] = True
    touching = np.unique(guesses[inside & guess]).size
    rows = tuple(Lesion(float(sizes[i]) * voxel_ml, bool(found[i])) for i in range(1, lesion_count + 1))
    return LesionCounts(rows, guess_count - touching)


def score_lesions(
    truth: BoolArray, predicted: BoolArray, spacing_mm: tuple[float, ...], rule: LesionRule
) -> LesionScores:
    """Score every lesion of the truth against all predicted components that touch it, after dilation.

    A missed lesion and a predicted component without a lesion count 0 and `rule.penalty_mm`; lesions of at most
    `rule.minimum_mm3` are left out, matched or not. F1 counts lesions and components in the same way.
    Source: the lesion-wise measures of BraTS 2023 (github.com/rachitsaluja/BraTS-2023-Metrics); F1 is ours.
    """
    truth, predicted, spacing_mm = drop_flat_axis(truth, predicted, spacing_mm)
    components, component_count = _components(predicted)
    boxes = scipy.ndimage.find_objects(components)
    voxel_mm3 = float(np.prod(spacing_mm))
    sums = _Sums()
    for lesion, near, box in _separate_lesions(truth, rule.dilation):
        names = [int(name) for name in np.unique(components[box][near]) if name]
        sums.matched.update(names)
        if np.count_nonzero(lesion) * voxel_mm3 > rule.minimum_mm3:
            wide = _join([box, *(boxes[name - 1] for name in names)])
            _add(sums, _widen(lesion, box, wide), np.isin(components[wide], names), spacing_mm, rule, bool(names))
    return _scores(sums, component_count - len(sums.matched), rule.penalty_mm)


def _add(
    sums: _Sums, lesion: BoolArray, guess: BoolArray, spacing_mm: tuple[float, ...], rule: LesionRule, hit: bool
) -> None:
    surfaces = surfaces_between(lesion, guess, spacing_mm)
    sums.dice.append(dice(count(lesion, guess), "zero") or 0.0)
    sums.hd95_mm.append(hd95_mm(*surfaces) if surfaces else rule.penalty_mm)
    sums.hits += hit


def _scores(sums: _Sums, invented: int, penalty_mm: float) -> LesionScores:
    total = len(sums.dice) + invented
    if total == 0:
        return LesionScores(1.0, 0.0, 1.0)
    distance = (sum(sums.hd95_mm) + penalty_mm * invented) / total
    return LesionScores(sum(sums.dice) / total, distance, 2 * sums.hits / (sums.hits + total))


def _separate_lesions(truth: BoolArray, dilation: int) -> Iterator[tuple[BoolArray, BoolArray, Box]]:
    """Yield each lesion, its dilated self, and the box of the scan that both arrays cover."""
    joined, _ = _components(_dilate(truth, dilation))
    for name, box in enumerate(scipy.ndimage.find_objects(joined), start=1):
        lesion = truth[box] & (joined[box] == name)
        yield lesion, _dilate(lesion, dilation), box


def _dilate(mask: BoolArray, times: int) -> BoolArray:
    """Grow a mask `times` voxels along faces and edges (18 neighbours in 3D, 8 in 2D)."""
    if times == 0:
        return mask
    grown: BoolArray = scipy.ndimage.binary_dilation(mask, scipy.ndimage.generate_binary_structure(mask.ndim, 2), times)
    return grown


def _components(mask: BoolArray) -> tuple[Array, int]:
    labels, number = scipy.ndimage.label(mask, np.ones((3,) * mask.ndim))
    return labels, int(number)


def _join(boxes: list[Box]) -> Box:
    starts = np.min([[side.start for side in box] for box in boxes], axis=0)
    stops = np.max([[side.stop for side in box] for box in boxes], axis=0)
    return tuple(slice(int(start), int(stop)) for start, stop in zip(starts, stops, strict=True))


def _widen(mask: BoolArray, box: Box, wide: Box) -> BoolArray:
    result = np.zeros(tuple(side.stop - side.start for side in wide), bool)
    result[tuple(slice(i.start - o.start, i.stop - o.start) for i, o in zip(box, wide, strict=True))] = mask
    return result
