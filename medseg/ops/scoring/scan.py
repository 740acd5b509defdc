"""Every measure of EVALUATION of one scan: per region, for healthy tissue and over all classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from medseg.ops.scoring import overlap
from medseg.ops.scoring.lesions import LesionCounts, LesionRule, RuleName, count_lesions, score_lesions
from medseg.ops.scoring.rows import ALL, HEALTHY, UNKNOWN
from medseg.ops.scoring.surfaces import diagonal_mm, measure_surfaces
from medseg.values.labels import LabelScheme
from medseg.values.settings import Settings
from medseg.values.volume import BoolArray, Volume


class ScoreSettings(Settings):
    """What counts as near, what two empty masks are worth, how lesions are told apart."""

    nsd_tolerance_mm: float = Field(default=1.0, ge=0, description="surfaces this close agree")
    empty: overlap.EmptyRule = Field(
        default="undefined", description="Dice and its kin where truth and prediction are empty"
    )
    lesions: RuleName = Field(default="none", description="BraTS 2023 task whose lesion-wise rule and penalty are used")


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One case on its canonical grid: truth and prediction (None: failed) `(1, X, Y, Z)`, body `(X, Y, Z)`.

    `annotated` names the labels that were looked for, None for all.
    """

    truth: Volume
    predicted: Volume | None
    body: BoolArray
    annotated: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """One region of a scan `(X, Y, Z)` in truth and in prediction (None: failed); in neither are `ignored` voxels."""

    truth: BoolArray
    predicted: BoolArray | None
    ignored: int


Row = dict[str, object]


def score_scan(scan: Scan, scheme: LabelScheme, settings: ScoreSettings) -> tuple[list[Row], LesionCounts]:
    """Return one row per region, one for healthy tissue and one over all classes, and the lesions of the tumour.

    Healthy tissue is the body without tumour. A cell that is not there or None is undefined.
    Voxels that the truth ignores belong to no scan: they count nowhere, not as true negatives either, and for surfaces
    and lesions they are outside the region in truth and prediction. A region with a label that was not looked for is
    undefined in every cell, failed or not; so is healthy tissue where the tumour region is, and the row over all
    classes where any label is. Then, and where every voxel is ignored, the scan's cohort is "unknown".
    """
    kept = _kept(scan, scheme)
    known = [name for name in scheme.regions if kept.any() and scheme.is_annotated(name, scan.annotated)]
    pairs = {name: _pair(scan, scheme, name, kept) for name in known}
    counts = {name: _count_lesions(pair, scan) for name, pair in pairs.items()}
    cells = {
        name: _row(pair, scan, settings) | _lesion_cells(pair, counts[name], scan, settings)
        for name, pair in pairs.items()
    }
    tumour = pairs.get(scheme.tumour)
    if tumour is not None:
        cells[HEALTHY] = _row(_healthy(tumour, scan.body & kept), scan, settings)
    if kept.any() and scheme.annotated_classes(scan.annotated) is None:
        cells[ALL] = _class_cells(scan, scheme, kept)
    rows = [{"region": name} | cells.get(name, {}) for name in (*scheme.regions, HEALTHY, ALL)]
    cohort = UNKNOWN if tumour is None else "tumour" if tumour.truth.any() else "healthy"
    return [row | {"cohort": cohort} for row in rows], counts.get(scheme.tumour, LesionCounts((), 0))


def _kept(scan: Scan, scheme: LabelScheme) -> BoolArray:
    """Return which voxels `(X, Y, Z)` somebody annotated."""
    truth = scan.truth.voxels[0]
    if scheme.ignore is None:
        return np.broadcast_to(np.True_, truth.shape)
    return np.asarray(truth != scheme.ignore, np.bool_)


def _pair(scan: Scan, scheme: LabelScheme, region: str, kept: BoolArray) -> Pair:
    predicted = None if scan.predicted is None else scheme.region(scan.predicted.voxels[0], region) & kept
    return Pair(scheme.region(scan.truth.voxels[0], region), predicted, kept.size - np.count_nonzero(kept))


def _healthy(tumour: Pair, body: BoolArray) -> Pair:
    guess = None if tumour.predicted is None else body & ~tumour.predicted
    return Pair(body & ~tumour.truth, guess, tumour.ignored)


def _row(pair: Pair, scan: Scan, settings: ScoreSettings) -> Row:
    """Fill the cells of overlap, surfaces and volumes; a failed prediction gets the worst of each."""
    penalty_mm = _penalty_mm(scan, settings)
    truth_ml = float(np.count_nonzero(pair.truth)) * scan.truth.voxel_ml
    if pair.predicted is None:
        worst: Row = dict.fromkeys(("dice", "iou", "sensitivity", "precision", "specificity", "nsd"), 0.0)
        return worst | {"hd95_mm": penalty_mm, "assd_mm": penalty_mm, "volume_truth_ml": truth_ml}
    counts = overlap.count(pair.truth, pair.predicted, pair.ignored)
    spacing_mm = scan.truth.spacing_mm
    near = measure_surfaces(pair.truth, pair.predicted, spacing_mm, settings.nsd_tolerance_mm, penalty_mm)
    predicted_ml = counts.predicted * scan.truth.voxel_ml
    return {
        "dice": overlap.dice(counts, settings.empty),
        "iou": overlap.iou(counts, settings.empty),
        "sensitivity": overlap.sensitivity(counts, settings.empty),
        "precision": overlap.precision(counts, settings.empty),
        "specificity": overlap.specificity(counts),
        "hd95_mm": near.hd95_mm,
        "assd_mm": near.assd_mm,
        "nsd": near.nsd,
        "volume_truth_ml": truth_ml,
        "volume_predicted_ml": predicted_ml,
        "volume_error_ml": predicted_ml - truth_ml,
    }


def _count_lesions(pair: Pair, scan: Scan) -> LesionCounts:
    guess = np.zeros_like(pair.truth) if pair.predicted is None else pair.predicted
    return count_lesions(pair.truth, guess, scan.truth.voxel_ml)


def _lesion_cells(pair: Pair, counts: LesionCounts, scan: Scan, settings: ScoreSettings) -> Row:
    failed = pair.predicted is None
    cells: Row = {
        "lesions_truth": len(counts.lesions),
        "lesions_found": counts.found,
        "false_lesions": None if failed else counts.false_lesions,
    }
    rule = LesionRule(kind=settings.lesions)
    if rule.kind == "none":
        return cells
    if pair.predicted is None:
        return cells | {"lesion_dice": 0.0, "lesion_hd95_mm": rule.penalty_mm, "lesion_f1": 0.0}
    scores = score_lesions(pair.truth, pair.predicted, scan.truth.spacing_mm, rule)
    return cells | {"lesion_dice": scores.dice, "lesion_hd95_mm": scores.hd95_mm, "lesion_f1": scores.f1}


def _class_cells(scan: Scan, scheme: LabelScheme, kept: BoolArray) -> Row:
    if scan.predicted is None:
        return {"pixel_accuracy": 0.0, "miou": 0.0}
    truth, guess = (scheme.to_indices(volume.voxels[0][kept]) for volume in (scan.truth, scan.predicted))
    table = overlap.confusion(truth, guess, len(scheme.values))
    return {"pixel_accuracy": overlap.pixel_accuracy(table), "miou": overlap.miou(table)}


def _penalty_mm(scan: Scan, settings: ScoreSettings) -> float:
    """Return the distance of a region that only one side has: the scan's diagonal, or the number of BraTS."""
    rule = LesionRule(kind=settings.lesions)
    return diagonal_mm(scan.truth.shape, scan.truth.spacing_mm) if rule.kind == "none" else rule.penalty_mm
