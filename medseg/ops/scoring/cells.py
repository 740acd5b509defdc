"""The cells of one region's row: what each measure is worth, where it is undefined, and the worst of each."""

from __future__ import annotations

from dataclasses import dataclass

from medseg.ops.scoring import overlap
from medseg.ops.scoring.certainty import Certainty
from medseg.ops.scoring.lesions import LesionCounts, LesionRule, measure_strangers
from medseg.ops.scoring.lesionwise import score_lesions
from medseg.ops.scoring.overlap import Counts, EmptyRule
from medseg.ops.scoring.pair import Pair
from medseg.ops.scoring.panoptic import panoptic_quality
from medseg.ops.scoring.surfaces import surface_measures

Cells = dict[str, object]
_WORST = dict.fromkeys(("dice", "iou", "sensitivity", "precision", "specificity", "nsd"), 0.0)
_WORST_PANOPTIC = dict.fromkeys(("panoptic_quality", "segmentation_quality", "recognition_quality"), 0.0)


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a region is judged: what two empty masks are worth, which surfaces agree, what a missed one costs.

    voxels: how many of the scan somebody annotated.  failed: whether there is no prediction.
    """

    empty: EmptyRule
    rule: LesionRule
    tolerance_mm: float
    penalty_mm: float
    voxels: int
    failed: bool


def region_cells(pair: Pair, how: Judgement) -> Cells:
    """Fill overlap, surfaces and volumes; a failed prediction gets the worst of each, and no volume of its own."""
    counts = _counts(pair, how)
    truth_ml = counts.truth * pair.voxel_ml
    if how.failed:
        distances = {"hd95_mm": how.penalty_mm, "assd_mm": how.penalty_mm}
        return {**_WORST, **distances, "volume_truth_ml": truth_ml}
    predicted_ml = counts.predicted * pair.voxel_ml
    return {
        "dice": overlap.dice(counts, how.empty),
        "iou": overlap.iou(counts, how.empty),
        "sensitivity": overlap.sensitivity(counts, how.empty),
        "precision": overlap.precision(counts, how.empty),
        "specificity": overlap.specificity(counts),
        **_surface_cells(pair, counts, how),
        "volume_truth_ml": truth_ml,
        "volume_predicted_ml": predicted_ml,
        "volume_error_ml": predicted_ml - truth_ml,
    }


def lesion_cells(pair: Pair, counts: LesionCounts, how: Judgement) -> Cells:
    """Fill what is told lesion by lesion; nothing is known of what a failed prediction would have invented."""
    cells: Cells = {"lesions_truth": len(counts.lesions), "lesions_found": counts.found}
    if how.failed:
        missed = {"false_negative_ml": pair.counts.truth * pair.voxel_ml}
        return {**cells, **missed, **_WORST_PANOPTIC, **_worst_lesion_cells(how.rule)}
    panoptic, strangers = panoptic_quality(pair, how.empty), measure_strangers(pair)
    return {
        **cells,
        "false_lesions": counts.false_lesions,
        **_lesionwise_cells(pair, how.rule),
        "panoptic_quality": panoptic.quality,
        "segmentation_quality": panoptic.segmentation,
        "recognition_quality": panoptic.recognition,
        "false_positive_ml": strangers.false_positive_ml,
        "false_negative_ml": strangers.false_negative_ml,
    }


def certainty_cells(certainty: Certainty | None) -> Cells:
    """Fill what is told of probabilities, where they were kept."""
    return {} if certainty is None else {"ece": certainty.ece, "brier": certainty.brier}


def _counts(pair: Pair, how: Judgement) -> Counts:
    """Count over the whole scan: what lies outside the box of the pair is neither truth nor prediction."""
    inside = pair.counts
    named = inside.true_positive + inside.false_positive + inside.false_negative
    return Counts(inside.true_positive, inside.false_positive, inside.false_negative, how.voxels - named)


def _surface_cells(pair: Pair, counts: Counts, how: Judgement) -> Cells:
    present = counts.truth + counts.predicted > 0
    near = surface_measures(pair.surfaces, present, how.tolerance_mm, how.penalty_mm)
    nsd = near.nsd if present else overlap.worth(how.empty)
    return {"hd95_mm": near.hd95_mm, "assd_mm": near.assd_mm, "nsd": nsd}


def _lesionwise_cells(pair: Pair, rule: LesionRule) -> Cells:
    if rule.kind == "none":
        return {}
    scores = score_lesions(pair, rule)
    return {"lesion_dice": scores.dice, "lesion_hd95_mm": scores.hd95_mm, "lesion_f1": scores.f1}


def _worst_lesion_cells(rule: LesionRule) -> Cells:
    if rule.kind == "none":
        return {}
    return {"lesion_dice": 0.0, "lesion_hd95_mm": rule.penalty_mm, "lesion_f1": 0.0}
