"""Score one case: read its truth and its prediction, check that they belong together, write every measure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from medseg.files.records import CaseRecord, read_case, read_scheme
from medseg.files.scans import read_mask
from medseg.ops.body import BodySettings, body_mask
from medseg.ops.grids import SAME_VOXELS, distance_voxels, grid_of
from medseg.ops.orientation import to_canonical
from medseg.ops.scoring.rows import ALL, HEALTHY, columns
from medseg.ops.scoring.scan import Scan, ScoreSettings, score_scan
from medseg.stages.cases import load_channels, load_mask
from medseg.stages.channels import missing_channels
from medseg.values.error import Refusal, wrong_setting
from medseg.values.labels import LabelScheme
from medseg.values.machine import Machine
from medseg.values.volume import Volume

PREDICTION = "prediction.nii.gz"


class ScoreStage(ScoreSettings):
    """Settings of the stage: the body is found as it was for training, so that healthy tissue means the same."""

    body: BodySettings = BodySettings()


def run(settings: ScoreStage, inputs: Mapping[str, Path], out: Path, machine: Machine) -> None:
    """Write `scores.json` of one case: its rows, the sizes of its tumours, and why its prediction is missing if it is.

    A missing prediction is scored as the worst one; the text file `failure` among the inputs says why. What nobody
    annotated is left out: see `score_scan`.
    Refuses a prediction on another grid than the case's, or with labels outside the scheme.
    """
    scheme = _read_scheme(inputs["scheme"])
    record = read_case(inputs["case"])
    truth = load_mask(record, inputs["data"])
    predicted = _read_prediction(inputs, record, truth, scheme)
    body = body_mask(load_channels(record, inputs["data"]).voxels, settings.body, missing_channels(record))
    failed = None if predicted else _failure(inputs)
    rows, lesions = score_scan(Scan(truth, predicted, body, record.annotated), scheme, settings)
    marks = {"case": record.case, "subject": record.subject, "reason": failed}
    content = {
        "case": record.case,
        "rows": [{name: (row | marks).get(name) for name in columns} for row in rows],
        "failed": failed,
        "lesions": [{"ml": lesion.ml, "found": lesion.found} for lesion in lesions.lesions],
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    (out / "scores.json").write_text(text + "\n", encoding="utf-8")


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
    gap = distance_voxels(grid_of(predicted), grid_of(truth))
    if not gap <= SAME_VOXELS:
        rule = f"no corner of the prediction lies more than {SAME_VOXELS} voxels from the scan's"
        raise Refusal(case, rule, f"{gap:.4g} voxels", "write the prediction with the affine of the first channel")


def _failure(inputs: Mapping[str, Path]) -> str:
    """Say on one line why there is no prediction."""
    told = inputs["failure"].read_text(encoding="utf-8") if "failure" in inputs else ""
    return " ".join(told.split()) or "no prediction"
