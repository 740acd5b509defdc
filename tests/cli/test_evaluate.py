"""`medseg evaluate` as people start it: two folders in, every case scored, what is wrong with one is its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from medseg.files.records import CaseRecord, FileRecord, SchemeRecord, write_record
from medseg.ops.body import BodySettings
from medseg.stages.score import ScoreStage
from medseg.stages.score import run as score_stage
from medseg.values.machine import Machine
from tests.cli.evaluate_data import (
    AFFINE,
    DIAGONAL,
    SHAPE,
    SPACING,
    VOXEL_ML,
    content,
    evaluate,
    made,
    make_sides,
    mask,
    moved,
    rows,
    save,
)

WORST = ("dice", "iou", "sensitivity", "precision", "nsd")


def test_two_folders_give_scores_summary_report_and_a_record(tmp_path: Path) -> None:
    names = make_sides(tmp_path, 3, 1, 2)
    code, output, errors = evaluate(tmp_path)
    out = tmp_path / "out"
    assert code == 0, errors
    assert output == f"{out / 'report.html'}\n"
    assert errors.splitlines()[0].startswith("medseg ")
    assert f"3 scans with a true mask in {tmp_path / 'truth'} (layout masks)" in errors
    assert "3 of 3 predictions are scored, 0 failed or missing" in errors
    found = rows(out)
    regions = ("label_1", "label_2", "foreground", "healthy", "all")
    assert list(found) == [(name, region) for name in names for region in regions]
    for number, name in enumerate(names):
        truth = mask(number, 1, 2)
        shared = np.count_nonzero((truth == 1) & (moved(truth) == 1))
        size = np.count_nonzero(truth == 1)
        assert found[name, "label_1"]["dice"] == pytest.approx(shared / size)
        assert found[name, "label_1"]["volume_truth_ml"] == pytest.approx(size * VOXEL_ML)
        assert found[name, "foreground"]["cohort"] == "tumour"
        assert found[name, "healthy"]["dice"] is None, "without an image nobody knows what is body"
        assert found[name, "label_1"]["subject"] == name
    summary = content(out / "summary.json")
    assert summary["held_out"] == names
    assert summary["tumour"] == "foreground"
    mean = np.mean([float(str(found[name, "label_1"]["dice"])) for name in names])
    assert summary["regions"]["label_1"]["dice"]["mean"] == pytest.approx(mean)
    record = content(out / "evaluate.json")
    assert record["settings"]["empty"] == "undefined"
    assert record["scheme"]["labels"] == {"label_1": 1, "label_2": 2}
    assert record["folders"]["truth"] == str((tmp_path / "truth").resolve())
    assert [record["cases"][name]["truth"]["path"] for name in names] == [f"{name}.nii.gz" for name in names]
    assert all(len(record["cases"][name]["prediction"]["sha256"]) == 64 for name in names)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in names)
    assert sorted(path.name for path in out.iterdir() if path.name.startswith(".")) == [".medseg-evaluate"]


def test_what_fails_counts_as_the_worst_and_stops_no_other(tmp_path: Path) -> None:
    make_sides(tmp_path, 8)
    predictions = tmp_path / "predictions"
    (predictions / "p0.nii.gz").unlink()
    whole = (predictions / "p1.nii.gz").read_bytes()
    (predictions / "p1.nii.gz").write_bytes(whole[: len(whole) // 2])
    save(predictions / "p2.nii.gz", mask(2, 1)[:-1])
    shifted = AFFINE.copy()
    shifted[0, 3] += 0.75
    save(predictions / "p3.nii.gz", mask(3, 1), shifted)
    save(predictions / "p4.nii.gz", mask(4, 7))
    save(predictions / "other.nii.gz", mask(9, 1))
    code, _, errors = evaluate(tmp_path, "lesions=metastases")
    assert code == 1
    found, record = rows(tmp_path / "out"), content(tmp_path / "out" / "evaluate.json")
    reasons = {name: str(found[name, "label_1"]["reason"]) for name in (f"p{number}" for number in range(5))}
    assert reasons["p0"] == "no mask of this name among the predictions"
    assert "gzip" in reasons["p1"]
    assert f"the prediction has the scan's shape {SHAPE}, got {(13, 12, 10)}" in reasons["p2"]
    assert "grid=resample" in reasons["p2"]
    assert "0.5 voxels" in reasons["p3"]
    assert "a prediction holds the labels of the truth, [0, 1], got [7]" in reasons["p4"]
    for name, why in reasons.items():
        row = found[name, "label_1"]
        assert [row[measure] for measure in WORST] == [0.0] * len(WORST)
        assert row["hd95_mm"] == 374.0
        assert row["lesion_dice"] == 0.0
        assert row["cohort"] == "tumour"
        assert f"error: {name}: {why}" in errors
        assert record["cases"][name]["failed"] == why
        assert str(tmp_path) not in why
    assert found["p5", "label_1"]["dice"] == pytest.approx(0.75)
    assert found["p5", "label_1"]["reason"] is None
    assert "warning: 1 of 8 have no prediction: p0" in errors
    assert "warning: 1 prediction has no true mask and is left out: other" in errors
    assert "3 of 8 predictions are scored, 5 failed or missing" in errors
    assert record["extra"] == ["other"]
    assert record["cases"]["p0"]["prediction"] is None
    summary = content(tmp_path / "out" / "summary.json")
    assert [entry["case"] for entry in summary["failed"]] == list(reasons)
    assert summary["regions"]["label_1"]["dice"]["n"] == 8
    assert summary["regions"]["label_1"]["dice"]["mean"] == pytest.approx(3 * 0.75 / 8)


def test_without_a_preset_the_distance_of_a_missing_prediction_is_the_diagonal(tmp_path: Path) -> None:
    make_sides(tmp_path, 2)
    (tmp_path / "predictions" / "p1.nii.gz").unlink()
    assert evaluate(tmp_path)[0] == 1
    assert rows(tmp_path / "out")["p1", "label_1"]["hd95_mm"] == pytest.approx(DIAGONAL)


def test_a_truth_that_cannot_be_read_is_listed_and_leaves_its_case_undefined(tmp_path: Path) -> None:
    make_sides(tmp_path, 3)
    (tmp_path / "truth" / "p1.nii.gz").write_bytes(b"nothing of a scan")
    code, _, errors = evaluate(tmp_path)
    assert code == 1
    assert "error: p1: " in errors
    row = rows(tmp_path / "out")["p1", "label_1"]
    assert (row["dice"], row["cohort"]) == (None, "unknown")
    assert row["reason"]
    dice = content(tmp_path / "out" / "summary.json")["regions"]["label_1"]["dice"]
    assert (dice["n"], dice["undefined"]) == (2, 1)


def test_a_healthy_scan_with_one_false_voxel_is_neither_clean_nor_dropped(tmp_path: Path) -> None:
    make_sides(tmp_path, 1)
    empty = np.zeros(SHAPE, np.uint8)
    one = empty.copy()
    one[3, 4, 5] = 1
    for name, guess in (("alarm", one), ("clean", empty)):
        save(tmp_path / "truth" / f"{name}.nii.gz", empty)
        save(tmp_path / "predictions" / f"{name}.nii.gz", guess)
    assert evaluate(tmp_path)[0] == 0
    found = rows(tmp_path / "out")
    alarm, clean = found["alarm", "label_1"], found["clean", "label_1"]
    assert (alarm["cohort"], alarm["dice"]) == ("healthy", 0.0)
    assert alarm["volume_predicted_ml"] == pytest.approx(VOXEL_ML)
    assert alarm["hd95_mm"] == pytest.approx(DIAGONAL)
    assert (clean["dice"], clean["hd95_mm"]) == (None, None)
    healthy = content(tmp_path / "out" / "summary.json")["cohorts"]["healthy"]
    assert (healthy["n"], healthy["clean"]) == (2, 1)
    assert evaluate(tmp_path, "empty=one", out="other")[0] == 0
    assert rows(tmp_path / "other")["clean", "label_1"]["dice"] == 1.0


def test_workers_order_of_files_and_repetition_change_no_byte(tmp_path: Path) -> None:
    names = make_sides(tmp_path, 5, 1, 2)
    (tmp_path / "predictions" / "p2.nii.gz").unlink()
    for name in names:
        save(tmp_path / "images" / f"{name}.nii.gz", np.random.default_rng(1).normal(50, 5, SHAPE).astype(np.float32))
    words = (f"images={tmp_path / 'images'}", "lesions=glioma")
    assert evaluate(tmp_path, *words)[0] == 1
    first = made(tmp_path / "out")
    assert {"scores.csv", "summary.json", "report.html", "evaluate.json"} <= set(first)
    assert evaluate(tmp_path, *words, "machine.workers=3", out="three")[0] == 1
    assert made(tmp_path / "three") == first
    for side in ("truth", "predictions"):
        for name in reversed(names):
            path = tmp_path / side / f"{name}.nii.gz"
            if path.exists():
                shutil.move(path, tmp_path / "aside")
                shutil.move(tmp_path / "aside", path)
    assert evaluate(tmp_path, *words)[0] == 1
    assert made(tmp_path / "out") == first


def test_the_same_numbers_as_the_stage_score(tmp_path: Path) -> None:
    make_sides(tmp_path, 1, 1, 2)
    image = np.zeros(SHAPE, np.float32)
    image[1:-1, 1:-1, 1:-1] = 100
    save(tmp_path / "images" / "p0.nii.gz", image)
    words = ("regions={core: [1], whole: [1, 2]}", "tumour=whole", "lesions=meningioma", "body.kind=nonzero")
    code, _, errors = evaluate(tmp_path, f"images={tmp_path / 'images'}", "nsd_tolerance_mm={core: 2}", *words)
    assert code == 0, errors
    labels, regions = {"label_1": 1, "label_2": 2}, {"core": (1,), "whole": (1, 2)}
    write_record(tmp_path / "scheme.json", SchemeRecord(labels=labels, regions=regions, tumour="whole"))
    record = CaseRecord(
        case="p0",
        subject="p0",
        channels={"image": FileRecord(path="images/p0.nii.gz", sha256="0")},
        mask=FileRecord(path="truth/p0.nii.gz", sha256="0"),
        shape=SHAPE,
        affine=tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in AFFINE),
        spacing_mm=SPACING,
    )
    write_record(tmp_path / "case.json", record)
    (tmp_path / "stage").mkdir()
    shutil.copy(tmp_path / "predictions" / "p0.nii.gz", tmp_path / "stage" / "prediction.nii.gz")
    inputs = {"data": tmp_path, "scheme": tmp_path / "scheme.json", "case": tmp_path / "case.json"}
    settings = ScoreStage(lesions="meningioma", nsd_tolerance_mm={"core": 2.0}, body=BodySettings(kind="nonzero"))
    score_stage(settings, {**inputs, "prediction": tmp_path / "stage"}, tmp_path / "stage", Machine())
    expected = json.loads((tmp_path / "stage" / "scores.json").read_text(encoding="utf-8"))["rows"]
    assert expected[0]["dice"] > 0
    assert list(rows(tmp_path / "out").values()) == expected


def test_other_axes_of_the_same_voxels_change_nothing(tmp_path: Path) -> None:
    make_sides(tmp_path, 2, 1, 2)
    assert evaluate(tmp_path)[0] == 0
    for path in sorted((tmp_path / "predictions").iterdir()):
        turned = nibabel.as_closest_canonical(nibabel.load(path))
        turned = turned.as_reoriented(nibabel.orientations.axcodes2ornt("PSL"))
        save(tmp_path / "turned" / path.name, np.asarray(turned.dataobj), turned.affine)
    code, _, errors = evaluate(tmp_path, f"predictions={tmp_path / 'turned'}", out="other")
    assert code == 0, errors
    before, after = rows(tmp_path / "out"), rows(tmp_path / "other")
    assert before.keys() == after.keys()
    for key, row in before.items():
        assert [after[key][name] for name in ("dice", "hd95_mm", "nsd")] == pytest.approx(
            [row[name] for name in ("dice", "hd95_mm", "nsd")]
        )


def test_another_grid_is_resampled_where_that_is_asked_for(tmp_path: Path) -> None:
    truth = mask(1, 1)
    save(tmp_path / "truth" / "p.nii.gz", truth)
    fine = AFFINE @ np.diag([0.5, 0.5, 0.5, 1])
    fine[:3, 3] = (AFFINE @ [-0.25, -0.25, -0.25, 1])[:3]
    save(tmp_path / "predictions" / "p.nii.gz", truth.repeat(2, 0).repeat(2, 1).repeat(2, 2), fine)
    assert evaluate(tmp_path, out="refused")[0] == 1
    assert rows(tmp_path / "refused")["p", "label_1"]["dice"] == 0.0
    code, _, errors = evaluate(tmp_path, "grid=resample")
    assert code == 0, errors
    assert rows(tmp_path / "out")["p", "label_1"]["dice"] == 1.0
    assert "warning: p: the prediction was resampled to the grid of the truth" in errors
    assert content(tmp_path / "out" / "evaluate.json")["cases"]["p"]["notes"]
