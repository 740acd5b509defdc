"""Score: files in, scores.json out; grids and labels are checked, failures count at their worst."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from medseg.files.nifti.probabilities import write_probabilities
from medseg.files.nifti.writing import write_image, write_mask
from medseg.files.records import CaseRecord, FileRecord, SchemeRecord, write_record
from medseg.ops.body import BodySettings
from medseg.ops.orientation import to_canonical
from medseg.ops.scoring import overlap
from medseg.ops.scoring.rows import columns
from medseg.ops.scoring.scan import Scan, score_scan
from medseg.stages.score import ScoreStage, run
from medseg.values.error import Refusal
from medseg.values.labels import LabelScheme
from medseg.values.machine import Machine
from medseg.values.volume import Array, FloatArray, Volume

SHAPE = (14, 12, 10)
AFFINE = np.array([[-1.5, 0, 0, 20], [0, 0, 2.0, -7], [0, 1.25, 0, 3], [0, 0, 0, 1.0]])
DIAGONAL = float(np.linalg.norm(np.multiply(SHAPE, (1.5, 1.25, 2.0))))
SCHEME = SchemeRecord(labels={"core": 1, "oedema": 2}, regions={"core": (1,), "tumour": (1, 2)}, tumour="tumour")


def tumour_mask() -> Array:
    mask = np.zeros(SHAPE, np.uint8)
    mask[3:9, 3:8, 2:7] = 2
    mask[4:7, 4:7, 3:6] = 1
    return mask


def volume(mask: Array, affine: FloatArray = AFFINE) -> Volume:
    return Volume(mask[None], affine)


class Case:
    """A data folder with one case, and the inputs of its score stage."""

    def __init__(self, folder: Path, truth: Array) -> None:
        image = np.zeros(SHAPE, np.float32)
        image[1:-1, 1:-1, 1:-1] = 100.0
        write_image(folder / "data/image.nii.gz", Volume(image[None], AFFINE))
        write_mask(folder / "data/mask.nii.gz", volume(truth))
        record = CaseRecord(
            case="P1",
            subject="S1",
            channels={"t1": FileRecord(path="image.nii.gz", sha256="0")},
            mask=FileRecord(path="mask.nii.gz", sha256="0"),
            shape=SHAPE,
            affine=tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in AFFINE),
            spacing_mm=(1.5, 1.25, 2.0),
        )
        self.folder = folder
        self.inputs = {"data": folder / "data", "scheme": folder / "scheme.json", "case": folder / "case.json"}
        write_record(self.inputs["case"], record)
        write_record(self.inputs["scheme"], SCHEME)

    def predict(self, mask: Array, affine: FloatArray = AFFINE) -> None:
        write_mask(self.folder / "prediction/prediction.nii.gz", volume(mask, affine))
        self.inputs["prediction"] = self.folder / "prediction"

    def score(self, settings: ScoreStage, name: str = "out") -> dict[str, dict[str, object]]:
        """Run the stage and return its rows by region, and the rest of the file as the row `file`."""
        out = self.folder / name
        out.mkdir()
        run(settings, self.inputs, out, Machine())
        assert [path.name for path in out.iterdir()] == ["scores.json"]
        content = json.loads((out / "scores.json").read_text(encoding="utf-8"))
        return {row["region"]: row for row in content.pop("rows")} | {"file": content}


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path, tumour_mask())


def test_a_perfect_prediction_is_perfect_in_every_measure(case: Case) -> None:
    case.predict(tumour_mask())
    found = case.score(ScoreStage(lesions="metastases", body=BodySettings(kind="nonzero", above=0.0)))
    assert list(found) == ["core", "tumour", "healthy", "all", "file"]
    for region in ("core", "tumour"):
        row = found[region]
        assert tuple(row) == columns
        assert (row["case"], row["subject"], row["cohort"], row["reason"]) == ("P1", "S1", "tumour", None)
        assert [row[m] for m in ("dice", "iou", "sensitivity", "precision", "specificity", "nsd")] == [1.0] * 6
        assert [row[m] for m in ("hd95_mm", "assd_mm", "volume_error_ml", "lesion_hd95_mm")] == [0.0] * 4
        assert [row[m] for m in ("lesions_truth", "lesions_found", "false_lesions")] == [1, 1, 0]
        assert [row[m] for m in ("lesion_dice", "lesion_f1")] == [1.0, 1.0]
    assert found["tumour"]["volume_truth_ml"] == pytest.approx(6 * 5 * 5 * 3.75 / 1000)
    assert found["healthy"]["volume_truth_ml"] == pytest.approx((12 * 10 * 8 - 150) * 3.75 / 1000)
    assert (found["all"]["pixel_accuracy"], found["all"]["miou"], found["all"]["dice"]) == (1.0, 1.0, None)
    assert found["file"]["failed"] is None
    assert found["file"]["lesions"] == [{"ml": pytest.approx(0.5625), "found": True}]


def test_healthy_tissue_is_the_body_without_tumour(case: Case) -> None:
    guess = np.roll(tumour_mask(), 2, axis=0)
    case.predict(guess)
    found = case.score(ScoreStage(body=BodySettings(kind="nonzero", above=0.0)))
    body = np.zeros(SHAPE, np.bool_)
    body[1:-1, 1:-1, 1:-1] = True
    expected = overlap.count(body & (tumour_mask() == 0), body & (guess == 0))
    assert found["healthy"]["dice"] == overlap.dice(expected, "undefined")
    assert found["healthy"]["lesions_truth"] is None


def test_storage_order_of_the_prediction_does_not_matter(case: Case) -> None:
    guess = np.roll(tumour_mask(), 1, axis=2)
    case.predict(guess)
    found = case.score(ScoreStage())
    turned = to_canonical(volume(guess))
    case.predict(np.ascontiguousarray(turned.voxels[0]), turned.affine)
    assert case.score(ScoreStage(), "again") == found


def test_the_same_case_gives_the_same_bytes(case: Case) -> None:
    case.predict(np.roll(tumour_mask(), 1, axis=1))
    case.score(ScoreStage(lesions="glioma"), "first")
    case.score(ScoreStage(lesions="glioma"), "second")
    first, second = (case.folder / name / "scores.json" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("absent", ["key", "folder", "file"])
def test_a_missing_prediction_gets_the_worst_scores_and_says_why(case: Case, absent: str) -> None:
    if absent != "key":
        case.inputs["prediction"] = case.folder / "nowhere"
    if absent == "file":
        case.inputs["prediction"].mkdir()
    (case.folder / "why.txt").write_text("P1: no memory,\n got 3 GB\n", encoding="utf-8")
    case.inputs["failure"] = case.folder / "why.txt"
    found = case.score(ScoreStage(lesions="glioma"))
    assert found["file"]["failed"] == "P1: no memory, got 3 GB"
    assert found["file"]["lesions"] == [{"ml": pytest.approx(0.5625), "found": False}]
    for region in ("core", "tumour", "healthy"):
        row = found[region]
        assert row["reason"] == "P1: no memory, got 3 GB"
        assert [row[m] for m in ("dice", "iou", "sensitivity", "precision", "specificity", "nsd")] == [0.0] * 6
        assert (row["hd95_mm"], row["assd_mm"], row["volume_predicted_ml"]) == (374.0, 374.0, None)
    assert [found["tumour"][m] for m in ("lesions_truth", "lesions_found", "false_lesions")] == [1, 0, None]
    assert [found["tumour"][m] for m in ("lesion_dice", "lesion_hd95_mm", "lesion_f1")] == [0.0, 374.0, 0.0]
    assert [found["tumour"][m] for m in ("panoptic_quality", "false_positive_ml")] == [0.0, None]
    assert found["tumour"]["false_negative_ml"] == pytest.approx(0.5625)
    assert (found["all"]["pixel_accuracy"], found["all"]["miou"]) == (0.0, 0.0)


def test_a_missing_prediction_without_a_reason_is_called_that(case: Case) -> None:
    found = case.score(ScoreStage())
    assert found["file"]["failed"] == "no prediction"
    assert found["tumour"]["hd95_mm"] == pytest.approx(DIAGONAL)


def test_finding_nothing_costs_the_diagonal(case: Case) -> None:
    case.predict(np.zeros(SHAPE, np.uint8))
    row = case.score(ScoreStage())["tumour"]
    assert (row["dice"], row["sensitivity"], row["precision"], row["nsd"]) == (0.0, 0.0, 0.0, 0.0)
    assert row["hd95_mm"] == pytest.approx(DIAGONAL)
    assert row["lesion_dice"] is None
    assert row["reason"] is None


@pytest.mark.parametrize(("empty", "dice"), [("undefined", None), ("one", 1.0), ("zero", 0.0)])
def test_a_healthy_scan_without_a_finding_follows_the_setting(
    tmp_path: Path, empty: overlap.EmptyRule, dice: float | None
) -> None:
    case = Case(tmp_path, np.zeros(SHAPE, np.uint8))
    case.predict(np.zeros(SHAPE, np.uint8))
    found = case.score(ScoreStage(empty=empty))
    assert found["tumour"]["cohort"] == "healthy"
    assert (found["tumour"]["dice"], found["tumour"]["hd95_mm"]) == (dice, None)
    assert found["healthy"]["dice"] == 1.0
    assert found["all"]["miou"] == 1.0
    assert found["file"]["lesions"] == []


def test_tolerance_decides_what_is_near(case: Case) -> None:
    case.predict(np.roll(tumour_mask(), 1, axis=0))
    strict = case.score(ScoreStage(nsd_tolerance_mm=1.0))["tumour"]["nsd"]
    loose = case.score(ScoreStage(nsd_tolerance_mm=1.5), "loose")["tumour"]["nsd"]
    assert isinstance(strict, float)
    assert strict < 1.0
    assert loose == 1.0


def test_a_prediction_elsewhere_is_refused(case: Case) -> None:
    moved = AFFINE.copy()
    moved[0, 3] += 0.003
    case.predict(tumour_mask(), moved)
    with pytest.raises(
        Refusal, match=r"P1: no corner of the prediction lies more than 0\.001 voxels .* got 0\.002 voxels"
    ):
        case.score(ScoreStage())


def test_a_prediction_on_another_grid_is_resampled_on_request_and_that_is_noted(case: Case) -> None:
    fine = AFFINE @ np.diag([0.5, 0.5, 1.0, 1.0])
    fine[:3, 3] = (AFFINE @ [-0.25, -0.25, 0, 1])[:3]
    case.predict(tumour_mask().repeat(2, 0).repeat(2, 1), fine)
    with pytest.raises(Refusal, match=r"the scan's shape \(14, 10, 12\), got \(28, 10, 24\); write .* grid=resample"):
        case.score(ScoreStage(), "refused")
    found = case.score(ScoreStage(grid="resample"))
    assert (found["tumour"]["dice"], found["core"]["hd95_mm"], found["tumour"]["reason"]) == (1.0, 0.0, None)
    note = "the prediction was resampled to the grid of the truth (it was (28, 10, 24) voxels and not (14, 10, 12))"
    assert (found["file"]["failed"], found["file"]["notes"]) == (None, [note])


def test_probabilities_beside_the_prediction_are_judged(case: Case) -> None:
    case.predict(tumour_mask())
    certain = np.where(tumour_mask() > 0, 0.75, 0.25).astype(np.float32)
    write_probabilities(case.folder / "prediction/probability.nii.gz", certain[None], AFFINE)
    found = case.score(ScoreStage(body=BodySettings(kind="nonzero", above=0.0)))
    assert (found["tumour"]["ece"], found["tumour"]["brier"]) == (0.25, 0.0625)
    assert found["core"]["ece"] is None
    assert found["file"]["froc"]["lesions"] == 1
    assert found["file"]["reliability"]["tumour"]["inside"][11] == 150
    write_probabilities(case.folder / "prediction/probability.nii.gz", certain[None, 1:], AFFINE)
    with pytest.raises(Refusal, match=r"P1: probabilities have the scan's shape \(14, 10, 12\), got \(13, 10, 12\)"):
        case.score(ScoreStage(), "again")


def test_rounding_in_the_header_is_no_move(case: Case) -> None:
    moved = AFFINE.copy()
    moved[0, 3] += 0.0003
    case.predict(tumour_mask(), moved)
    assert case.score(ScoreStage())["tumour"]["dice"] == 1.0


def test_a_prediction_of_another_shape_is_refused(case: Case) -> None:
    case.predict(tumour_mask()[:-1])
    with pytest.raises(Refusal, match=r"P1: the prediction has the scan's shape \(14, 10, 12\), got \(13, 10, 12\)"):
        case.score(ScoreStage())


def test_a_label_outside_the_scheme_is_refused(case: Case) -> None:
    case.predict(tumour_mask() * 4)
    with pytest.raises(Refusal, match=r"P1: a prediction holds the labels \[0, 1, 2\], got \[4, 8\]; predict with"):
        case.score(ScoreStage())


def test_a_region_named_like_a_report_row_is_refused(case: Case) -> None:
    write_record(case.inputs["scheme"], SCHEME.model_copy(update={"regions": {"all": (1, 2)}, "tumour": "all"}))
    with pytest.raises(Refusal, match=r"data\.regions\.all: no region has the name of a report row"):
        case.score(ScoreStage())


def test_scoring_changes_neither_truth_nor_prediction() -> None:
    truth, guess = tumour_mask(), np.roll(tumour_mask(), 1, axis=0)
    for array in (truth, guess):
        array.setflags(write=False)
    scan = Scan(volume(truth), volume(guess), np.ones(SHAPE, np.bool_))
    scheme = LabelScheme(SCHEME.labels, SCHEME.regions, SCHEME.tumour)
    scored = score_scan(scan, scheme, ScoreStage(lesions="glioma"))
    assert len(scored.rows) == 4
    assert scored.lesions.found == 1
