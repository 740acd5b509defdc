"""Tumours counted one by one: which were found, which were invented, and what was missed altogether."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from medseg.ops.scoring.components import Components, components
from medseg.ops.scoring.pair import Pair
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
class Strangers:
    """Volume of predicted components that touch no truth, and of those of the truth that no prediction touches."""

    false_positive_ml: float
    false_negative_ml: float


def count_lesions(pair: Pair) -> LesionCounts:
    """Count lesions, components of 26-connected voxels (in one slice 8); one voxel of overlap finds a lesion."""
    found = set(pair.overlaps.first.tolist())
    volumes = (pair.lesions.voxels * pair.voxel_ml).tolist()
    lesions = tuple(Lesion(ml, index in found) for index, ml in enumerate(volumes))
    return LesionCounts(lesions, len(pair.findings) - len(set(pair.overlaps.second.tolist())))


def measure_strangers(pair: Pair) -> Strangers:
    """Measure what was invented and what was missed as a whole, by components of 18-connected voxels (in a slice 8).

    Both masks empty: 0 and 0.
    Source: the false-positive and false-negative volume of autoPET (Gatidis et al. 2022, github.com/lab-midas/autoPET).
    """
    if not pair.is_pinched:  # then what touches by a corner touches in another way too
        missed, invented = _unshared(pair.lesions, pair.overlaps.first), _unshared(pair.findings, pair.overlaps.second)
    else:
        missed, invented = _untouched(pair.truth, pair.predicted), _untouched(pair.predicted, pair.truth)
    return Strangers(invented * pair.voxel_ml, missed * pair.voxel_ml)


def _unshared(parts: Components, shared: Array) -> int:
    """Return the voxels of the parts that are not among the shared ones."""
    left = np.ones(len(parts), np.bool_)
    left[shared] = False
    return int(parts.voxels[left].sum())


def _untouched(mask: BoolArray, other: BoolArray) -> int:
    parts = components(mask, corners=False)
    return _unshared(parts, np.unique(parts.names[other & mask]) - 1)
