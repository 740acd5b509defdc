"""Score one case: read its truth and its prediction, check that they belong together, write every measure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from medseg.files.predictions import PREDICTION, PROBABILITY
from medseg.files.records import CaseRecord, read_case, read_scheme
from medseg.files.scans import read_image, read_mask
from medseg.ops.body import BodySettings, body_mask
from medseg.ops.orientation import to_canonical
from medseg.ops.scoring.geometry import grid_note, on_grid_of
from medseg.ops.scoring.record import Who, score_record
from medseg.ops.scoring.rows import ALL, HEALTHY
from medseg.ops.scoring.scan import Scan, ScoreSettings, score_scan
from medseg.stages.cases import load_channels, load_mask
from medseg.stages.channels import missing_channels
from medseg.values.error import Refusal, wrong_setting
from medseg.values.labels import LabelScheme
from medseg.values.machine import Machine
from medseg.values.volume import FloatArray, Volume


class ScoreStage(ScoreSettings):
    """Settings of the stage: the body is found as it was for training, so that healthy tissue means the same."""

    body: BodySettings = BodySettings()


def run(settings: ScoreStage, inputs: Mapping[str, Path], out: Path, machine: Machine) -> None:
    """Write `scores.json` of one case: every measure, and why its prediction is missing if it is.

    The file is described in `medseg.ops.scoring.record`. A missing prediction is scored as the worst one; the text file
    `failure` among the inputs says why. What nobody annotated is left out: see `score_scan`. Probabilities of the
    tumour are judged where the stage predict has kept them.
    Refuses a prediction on another grid than the case's (unless `grid` is resample), or with labels outside the scheme.
    """
    scheme = _read_scheme(inputs["scheme"])
    record = read_case(inputs["case"])
    truth = load_mask(record, inputs["data"])
    predicted, notes = _read_prediction(settings, inputs, record, truth, scheme)
    body = body_mask(load_channels(record, inputs["data"]).voxels, settings.body, missing_channels(record))
    certain = {} if predicted is None else _read_probability(record.case, inputs["prediction"], truth, scheme)
    scored = score_scan(Scan(truth, predicted, body, record.annotated, certain), scheme, settings)
    who = Who(record.case, record.subject, record.site, None if predicted else _failure(inputs))
    text = json.dumps(score_record(who, scored, notes), indent=1, ensure_ascii=False, allow_nan=False)
    (out / "scores.json").write_text(text + "\n", encoding="utf-8")


def check_scheme(scheme: LabelScheme) -> LabelScheme:
    """Return the scheme; refuses (exit 2) a region that has the name of a row which every case has."""
    for name in sorted({HEALTHY, ALL} & set(scheme.regions)):
        raise wrong_setting(f"data.regions.{name}", "no region has the name of a report row", name, "rename it")
    return scheme


def _read_scheme(path: Path) -> LabelScheme:
    return check_scheme(read_scheme(path).scheme)


def _read_prediction(
    settings: ScoreStage, inputs: Mapping[str, Path], record: CaseRecord, truth: Volume, scheme: LabelScheme
) -> tuple[Volume | None, list[str]]:
    """Read the prediction on the canonical grid of the truth, and what was done to it; None where there is none."""
    if "prediction" not in inputs or not (inputs["prediction"] / PREDICTION).is_file():
        return None, []
    stored = read_mask(inputs["prediction"] / PREDICTION)
    predicted = on_grid_of(truth, stored, settings.grid, record.case)
    strange = sorted(set(np.unique(predicted.voxels).tolist()) - set(scheme.values))
    if strange:
        rule = f"a prediction holds the labels {list(scheme.values)}"
        raise Refusal(record.case, rule, strange, "predict with the same labels")
    note = grid_note(truth, stored)
    return predicted, [] if note is None else [note]


def _read_probability(case: str, folder: Path, truth: Volume, scheme: LabelScheme) -> dict[str, FloatArray]:
    """Read the tumour's probabilities `(X, Y, Z)`, where they were kept."""
    path = folder / PROBABILITY
    if not path.is_file():
        return {}
    found = to_canonical(read_image(path))
    if found.shape != truth.shape:
        rule = f"probabilities have the scan's shape {truth.shape}"
        raise Refusal(case, rule, found.shape, "predict the case again, or set predict.probabilities=false")
    return {scheme.tumour: found.voxels[0]}


def _failure(inputs: Mapping[str, Path]) -> str:
    """Say on one line why there is no prediction."""
    told = inputs["failure"].read_text(encoding="utf-8") if "failure" in inputs else ""
    return " ".join(told.split()) or "no prediction"
