"""The lesion-wise scores of BraTS 2023: every lesion of the truth against all of the prediction that touches it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medseg.ops.scoring.components import Components, Overlaps, components, dilate, overlaps
from medseg.ops.scoring.lesions import LesionRule
from medseg.ops.scoring.pair import Pair
from medseg.ops.scoring.surfaces import Surfaces, between_parts, hd95_mm
from medseg.values.volume import Array, BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class LesionScores:
    """Means over lesions and false positives; without either, Dice and F1 are 1 and the distance is 0."""

    dice: float
    hd95_mm: float
    f1: float


@dataclass(frozen=True, slots=True, eq=False)
class _Matched:
    """Lesions that are told apart by their grown selves, and the predicted components that touch these.

    near: the grown lesions.  voxels: `(N,)` of each lesion itself.  touching: which component belongs to which lesion.
    """

    near: Components
    voxels: Array
    touching: Overlaps


def score_lesions(pair: Pair, rule: LesionRule) -> LesionScores:
    """Score every lesion of the truth against all predicted components that touch it, after dilation.

    A missed lesion and a predicted component without a lesion count 0 and `rule.penalty_mm`; lesions of at most
    `rule.minimum_mm3` are left out, matched or not. F1 counts lesions and components in the same way.
    The box of the pair must have a margin of `rule.dilation` voxels.
    Source: the lesion-wise measures of BraTS 2023 (github.com/rachitsaluja/BraTS-2023-Metrics); F1 is ours.
    """
    matched = _match(pair, rule)
    counted = matched.voxels * pair.voxel_ml * 1000 > rule.minimum_mm3
    invented = len(pair.findings) - len(np.unique(matched.touching.second))
    total = int(np.count_nonzero(counted)) + invented
    if total == 0:
        return LesionScores(1.0, 0.0, 1.0)
    hit = np.zeros(len(counted), np.bool_)
    hit[matched.touching.first] = True
    hits = int(np.count_nonzero(hit & counted))
    distances = _distances(pair, matched, np.flatnonzero(hit & counted))
    penalty = rule.penalty_mm * (total - hits)
    overlap = float(_dices(pair, matched)[counted].sum())
    return LesionScores(overlap / total, (sum(distances) + penalty) / total, 2 * hits / (hits + total))


def _match(pair: Pair, rule: LesionRule) -> _Matched:
    """Tell lesions apart: what a lesion becomes when it is grown again is its own part of the grown truth."""
    near = components(dilate(pair.truth, rule.dilation))
    voxels = np.bincount(near.names[pair.truth], minlength=len(near) + 1)[1:]
    return _Matched(near, voxels, overlaps(near, pair.findings))


def _dices(pair: Pair, matched: _Matched) -> FloatArray:
    """Return the Dice `(N,)` of each lesion with the union of what touches its grown self; 0 where nothing does."""
    number = len(matched.near)
    shared = np.bincount(matched.near.names[pair.truth & pair.predicted], minlength=number + 1)[1:]
    sizes = pair.findings.voxels[matched.touching.second]
    guessed = np.bincount(matched.touching.first, weights=sizes, minlength=number)
    dices: FloatArray = 2 * shared / (matched.voxels + guessed)
    return dices


def _distances(pair: Pair, matched: _Matched, lesions: Array) -> list[float]:
    """Return the distance of each of the `lesions` to the union of what touches it, from the region's own surfaces.

    A corner of the voxel grid never has voxels of two components around it, so every element belongs to one.
    """
    if pair.surfaces is None or len(lesions) == 0:
        return []
    truth, predicted = pair.surfaces
    of_lesion = _names_at(np.where(pair.truth, matched.near.names, 0), truth.corners)
    of_finding = _names_at(pair.findings.names, predicted.corners)
    return [_distance(pair, pair.surfaces, _parts(matched, lesion, of_lesion, of_finding)) for lesion in lesions]


def _parts(matched: _Matched, lesion: int, of_lesion: Array, of_finding: Array) -> tuple[BoolArray, BoolArray]:
    touching = np.zeros(int(of_finding.max()) + 1, np.bool_)
    touching[matched.touching.second[matched.touching.first == lesion] + 1] = True
    return of_lesion == lesion + 1, touching[of_finding]


def _distance(pair: Pair, surfaces: Surfaces, parts: tuple[BoolArray, BoolArray]) -> float:
    between = between_parts(surfaces, parts, pair.spacing_mm)
    if between is None:
        raise RuntimeError("a lesion and what touches it have surfaces")
    return hd95_mm(*between)


def _names_at(names: Array, corners: Array) -> Array:
    """Return the name of the one component around each corner `(D, N)` of the voxel grid."""
    padded = np.pad(names, 1)
    flat, places = padded.ravel(), np.ravel_multi_index(tuple(corners), padded.shape)
    found: Array = flat[places]
    for offset in np.ndindex(*(2,) * names.ndim):
        np.maximum(found, flat[places + np.ravel_multi_index(offset, padded.shape)], out=found)
    return found
