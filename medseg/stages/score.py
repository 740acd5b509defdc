"""Score one case: every measure of EVALUATION, per region, for healthy tissue and over all classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from medseg.files.nifti import read_mask
from medseg.files.records import CaseRecord, read_case, read_scheme
from medseg.ops import overlap
from medseg.ops.body import BodySettings, body_mask
from medseg.ops.cohorts import ALL, HEALTHY, columns
from medseg.ops.lesions import LesionCounts, LesionRule, RuleName, count_lesions, score_lesions
from medseg.ops.orientation import to_canonical
from medseg.ops.surfaces import diagonal_mm, measure_surfaces
from medseg.stages.cases import grid_distance, load_channels, load_mask
from medseg.values.error import Refusal, wrong_setting
from medseg.values.labels import LabelScheme
from medseg.values.machine import Machine
from medseg.values.settings import Settings
from medseg.values.volume import BoolArray, Volume

PREDICTION = "prediction.nii.gz"
_SAME_PLACE_VOXELS = 1e-3


class ScoreSettings(Settings):
    """What counts as near, what two empty masks are worth, how lesions are told apart."""

    nsd_tolerance_mm: float = Field(default=1.0, ge=0, description="surfaces this close agree")
    empty: overlap.EmptyRule = Field(
        default="undefined", description="Dice and its kin where truth and prediction are empty"
    )
    lesions: RuleName = Field(default="none", description="BraTS 2023 task whose lesion-wise rule and penalty are used")


class ScoreStage(ScoreSettings):
    """Settings of the stage: the body is found as it was for training, so that healthy tissue means the same."""

    body: BodySettings = BodySettings()


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One case on its canonical grid: truth and prediction (None: failed) `(1, X, Y, Z)`, body `(X, Y, Z)`."""

    truth: Volume
    predicted: Volume | None
    body: BoolArray


@dataclass(frozen=True, slots=True)
class Pair:
    """One region of a scan `(X, Y, Z)` in truth and in prediction (None: failed)."""

    truth: BoolArray
    predicted: BoolArray | None


Row = dict[str, object]


def run(settings: ScoreStage, inputs: Mapping[str, Path], out: Path, machine: Machine) -> None:
    """Write `scores.json` of one case: its rows, the sizes of its tumours, and why its prediction is missing if it is.

    A missing prediction is scored as the worst one; the text file `failure` among the inputs says why.
    Refuses a prediction on another grid than the case's, or with labels outside the scheme.
    """
    scheme = _read_scheme(inputs["scheme"])
    record = read_case(inputs["case"])
    truth = load_mask(record, inputs["data"])
    predicted = _read_prediction(inputs, record, truth, scheme)
    body = body_mask(load_channels(record, inputs["data"]).voxels, settings.body)
    failed = None if predicted else _failure(inputs)
    rows, lesions = score_scan(Scan(truth, predicted, body), scheme, settings)
    marks = {"case": record.case, "subject": record.subject, "reason": failed}
    content = {
        "case": record.case,
        "rows": [{name: (row | marks).get(name) for name in columns} for row in rows],
        "failed": failed,
        "lesions": [{"ml": lesion.ml, "found": lesion.found} for lesion in lesions.lesions],
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    (out / "scores.json").write_text(text + "\n", encoding="utf-8")


def score_scan(scan: Scan, scheme: LabelScheme, settings: ScoreSettings) -> tuple[list[Row], LesionCounts]:
    """Return one row per region, one for healthy tissue and one over all classes, and the lesions of the tumour.

    Healthy tissue is the body without tumour. A cell that is not there or None is undefined.
    """
    pairs = {name: _pair(scan, scheme, name) for name in scheme.regions}
    tumour = pairs[scheme.tumour]
    counts = {name: _count_lesions(pair, scan) for name, pair in pairs.items()}
    guess = None if tumour.predicted is None else scan.body & ~tumour.predicted
    rows = [
        {"region": name} | _row(pair, scan, settings) | _lesion_cells(pair, counts[name], scan, settings)
        for name, pair in pairs.items()
    ]
    rows.append({"region": HEALTHY} | _row(Pair(scan.body & ~tumour.truth, guess), scan, settings))
    rows.append({"region": ALL} | _class_cells(scan, scheme))
    cohort = {"cohort": "tumour" if tumour.truth.any() else "healthy"}
    return [row | cohort for row in rows], counts[scheme.tumour]


def _pair(scan: Scan, scheme: LabelScheme, region: str) -> Pair:
    predicted = None if scan.predicted is None else scheme.region(scan.predicted.voxels[0], region)
    return Pair(scheme.region(scan.truth.voxels[0], region), predicted)


def _row(pair: Pair, scan: Scan, settings: ScoreSettings) -> Row:
    """Fill the cells of overlap, surfaces and volumes; a failed prediction gets the worst of each."""
    penalty_mm = _penalty_mm(scan, settings)
    truth_ml = float(np.count_nonzero(pair.truth)) * scan.truth.voxel_ml
    if pair.predicted is None:
        worst: Row = dict.fromkeys(("dice", "iou", "sensitivity", "precision", "specificity", "nsd"), 0.0)
        return worst | {"hd95_mm": penalty_mm, "assd_mm": penalty_mm, "volume_truth_ml": truth_ml}
    counts = overlap.count(pair.truth, pair.predicted)
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


def _class_cells(scan: Scan, scheme: LabelScheme) -> Row:
    if scan.predicted is None:
        return {"pixel_accuracy": 0.0, "miou": 0.0}
    truth, guess = (scheme.to_indices(volume.voxels[0]) for volume in (scan.truth, scan.predicted))
    table = overlap.confusion(truth, guess, len(scheme.values))
    return {"pixel_accuracy": overlap.pixel_accuracy(table), "miou": overlap.miou(table)}


def _penalty_mm(scan: Scan, settings: ScoreSettings) -> float:
    """Return the distance of a region that only one side has: the scan's diagonal, or the number of BraTS."""
    rule = LesionRule(kind=settings.lesions)
    return diagonal_mm(scan.truth.shape, scan.truth.spacing_mm) if rule.kind == "none" else rule.penalty_mm


def _read_scheme(path: Path) -> LabelScheme:
    record = read_scheme(path)
    for name in sorted({HEALTHY, ALL} & set(record.regions)):
        raise wrong_setting(f"data.regions.{name}", "no region has the name of a report row", name, "rename it")
    return record.scheme


def _read_prediction(
    inputs: Mapping[str, Path], record: CaseRecord, truth: Volume, scheme: LabelScheme
) -> Volume | None:
    """Read the prediction on the canonical grid of the truth; None where there is none."""
    if "prediction" not in inputs or not (inputs["prediction"] / PREDICTION).is_file():
        return None
    predicted = to_canonical(read_mask(inputs["prediction"] / PREDICTION))
    _require_same_grid(record.case, truth, predicted)
    strange = sorted(set(np.unique(predicted.voxels).tolist()) - set(scheme.values))
    if strange:
        rule = f"a prediction holds the labels {list(scheme.values)}"
        raise Refusal(record.case, rule, strange, "predict with the same labels")
    return predicted


def _require_same_grid(case: str, truth: Volume, predicted: Volume) -> None:
    if predicted.shape != truth.shape:
        remedy = "write the prediction on the grid of the first channel"
        raise Refusal(case, f"the prediction has the scan's shape {truth.shape}", predicted.shape, remedy)
    gap = grid_distance(predicted, truth.shape, truth.affine)
    if not gap <= _SAME_PLACE_VOXELS:
        rule = f"no corner of the prediction lies more than {_SAME_PLACE_VOXELS} voxels from the scan's"
        raise Refusal(case, rule, f"{gap:.4g} voxels", "write the prediction with the affine of the first channel")


def _failure(inputs: Mapping[str, Path]) -> str:
    """Say on one line why there is no prediction."""
    told = inputs["failure"].read_text(encoding="utf-8") if "failure" in inputs else ""
    return " ".join(told.split()) or "no prediction"
