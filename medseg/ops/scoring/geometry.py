"""Geometry comes before every measure: a prediction lies on the grid of its truth, or is refused or brought there."""

from __future__ import annotations

from medseg.ops.grids import SAME_VOXELS, distance_voxels, grid_of
from medseg.ops.orientation import from_canonical, orientation_of, to_canonical
from medseg.ops.resampling import resample_labels_to_grid
from medseg.ops.scoring.settings import GridRule
from medseg.values.error import Refusal
from medseg.values.volume import Volume

_REMEDY = "write the prediction on the grid of the truth, or take its nearest voxels with the setting grid=resample"


def on_grid_of(truth: Volume, predicted: Volume, how: GridRule, case: str) -> Volume:
    """Return the prediction `(1, X, Y, Z)` of label numbers on the grid of the truth, whatever axes it is stored along.

    A grid whose corners lie within a thousandth of a voxel is the same one. Another one is refused, or with `resample`
    every voxel of the truth takes the number of the nearest predicted voxel in the world, beyond the outermost 0; a
    prediction that shares no space with the truth is refused all the same. `grid_note` says what was done.
    """
    turned = _turned(truth, predicted)
    if distance_voxels(grid_of(turned), grid_of(truth)) <= SAME_VOXELS:
        return turned
    if how == "refuse":
        raise _refusal(truth, turned, case)
    try:
        moved = resample_labels_to_grid(predicted.voxels[0], predicted.affine, truth.shape, truth.affine)
    except Refusal as refusal:
        raise Refusal(case, "a prediction shares space with its truth", refusal.value, refusal.remedy) from refusal
    return Volume(moved[None], truth.affine)


def grid_note(truth: Volume, predicted: Volume) -> str | None:
    """Say how the grid of a prediction differs from that of its truth; None where both are one."""
    turned = _turned(truth, predicted)
    gap = distance_voxels(grid_of(turned), grid_of(truth))
    if gap <= SAME_VOXELS:
        return None
    told = f"{turned.shape} voxels and not {truth.shape}" if turned.shape != truth.shape else f"off by {gap:.4g} voxels"
    return f"the prediction was resampled to the grid of the truth (it was {told})"


def _turned(truth: Volume, predicted: Volume) -> Volume:
    """Return the prediction with its axes in the order and direction of the truth's; no voxel moves in the world."""
    canonical = to_canonical(predicted)
    return from_canonical(canonical, orientation_of(truth.affine))


def _refusal(truth: Volume, predicted: Volume, case: str) -> Refusal:
    if predicted.shape != truth.shape:
        return Refusal(case, f"the prediction has the scan's shape {truth.shape}", predicted.shape, _REMEDY)
    gap = distance_voxels(grid_of(predicted), grid_of(truth))
    rule = f"no corner of the prediction lies more than {SAME_VOXELS} voxels from the scan's"
    return Refusal(case, rule, f"{gap:.4g} voxels", _REMEDY)
