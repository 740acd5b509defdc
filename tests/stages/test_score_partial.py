"""Scores where voxels or labels were not annotated, against counts voxel by voxel and against the cut-out scan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medseg.files.nifti.writing import write_image, write_mask
from medseg.files.records import CaseRecord, FileRecord, SchemeRecord, write_record
from medseg.ops.body import BodySettings
from medseg.ops.scoring.rows import columns, measures_of
from medseg.ops.scoring.scan import Row, Scan, ScoreSettings, score_scan
from medseg.stages.score import ScoreStage, run
from medseg.values.error import Refusal
from medseg.values.labels import LabelScheme
from medseg.values.machine import Machine
from medseg.values.volume import Array, Volume

SHAPE = (11, 10, 9)
AFFINE = np.diag([1.0, 1.5, 2.0, 1.0])
REGIONS = {"core": (1,), "tumour": (1, 2)}
SCHEME = LabelScheme({"core": 1, "oedema": 2}, REGIONS, "tumour", ignore=9)
MARKED = ("dice", "iou", "sensitivity", "precision", "specificity", "volume_truth_ml", "volume_predicted_ml")


def blobs(seed: int) -> Array:
    """Make a mask of a few blocks of both labels, among them small ones."""
    chance, mask = np.random.default_rng(seed), np.zeros(SHAPE, np.uint8)
    for label, size in ((2, 5), (1, 3), (2, 2), (1, 1)):
        x, y, z = (int(chance.integers(0, n - size)) for n in SHAPE)
        mask[x : x + size, y : y + size, z : z + size] = label
    return mask


def with_ignored(mask: Array, seed: int) -> Array:
    chance, changed = np.random.default_rng(seed + 100), mask.copy()
    x, y = (int(chance.integers(0, 6)) for _ in range(2))
    changed[x : x + 4, y : y + 4, :6] = 9
    return changed


def scored(
    truth: Array, guess: Array | None, annotated: tuple[str, ...] | None = None, **settings: Any
) -> dict[str, Row]:
    predicted = None if guess is None else Volume(guess[None], AFFINE)
    body = np.ones(SHAPE, np.bool_)
    body[:2] = False
    scan = Scan(Volume(truth[None], AFFINE), predicted, body, annotated)
    result = score_scan(scan, SCHEME, ScoreSettings(**settings))
    found = {str(row["region"]): row for row in result.rows}
    found["lesions"] = {"sizes": [lesion.ml for lesion in result.lesions.lesions]}
    return found


def counted(truth: Array, guess: Array, members: tuple[int, ...]) -> dict[str, float | None]:
    """Go through the voxels that somebody annotated."""
    pairs = [
        (int(t) in members, int(g) in members) for t, g in zip(truth.ravel(), guess.ravel(), strict=True) if t != 9
    ]
    tp, fp, fn = (sum(pair == wanted for pair in pairs) for wanted in ((True, True), (False, True), (True, False)))
    tn = len(pairs) - tp - fp - fn
    return {
        "dice": 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None,
        "iou": tp / (tp + fp + fn) if tp + fp + fn else None,
        "sensitivity": tp / (tp + fn) if tp + fn else None,
        "precision": tp / (tp + fp) if tp + fp else 0.0,
        "specificity": tn / (tn + fp),
        "volume_truth_ml": (tp + fn) * 0.003,
        "volume_predicted_ml": (tp + fp) * 0.003,
    }


@pytest.mark.parametrize("seed", range(8))
def test_ignored_voxels_count_nowhere(seed: int) -> None:
    truth, guess = with_ignored(blobs(seed), seed), blobs(seed + 50)
    found = scored(truth, guess)
    for region, members in REGIONS.items():
        expected = counted(truth, guess, members)
        assert {name: found[region][name] for name in MARKED} == pytest.approx(expected, rel=1e-12)
    kept = truth != 9
    assert found["all"]["pixel_accuracy"] == pytest.approx(np.mean(truth[kept] == guess[kept]))
    ious = [
        np.mean((truth == k)[kept] & (guess == k)[kept]) / np.mean(((truth == k) | (guess == k))[kept])
        for k in (0, 1, 2)
        if ((truth == k) | (guess == k))[kept].any()
    ]
    assert found["all"]["miou"] == pytest.approx(np.mean(ious))
    body = np.ones(SHAPE, np.bool_)
    body[:2] = False
    healthy = [np.where(kept, np.where(body & ~np.isin(mask, (1, 2)), 3, 0), 9) for mask in (truth, guess)]
    expected = counted(healthy[0], healthy[1], (3,))
    assert {name: found["healthy"][name] for name in MARKED} == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("rule", ["none", "metastases"])
@pytest.mark.parametrize("seed", range(4))
def test_surfaces_and_lesions_are_those_without_the_ignored_part(seed: int, rule: str) -> None:
    truth, guess = with_ignored(blobs(seed), seed), blobs(seed + 50)
    kept = truth != 9
    found, cut_out = scored(truth, guess, lesions=rule), scored(truth * kept, guess * kept, lesions=rule)
    same = [name for name in measures_of("tumour") if name != "specificity"]
    for region in REGIONS:
        assert {n: found[region].get(n) for n in same} == {n: cut_out[region].get(n) for n in same}
    assert found["lesions"] == cut_out["lesions"]


def test_what_is_predicted_where_nobody_annotated_does_not_matter() -> None:
    truth = with_ignored(blobs(1), 1)
    guess = blobs(51)
    for filled in (0, 1, 2):
        other = np.where(truth == 9, filled, guess).astype(np.uint8)
        assert scored(truth, other) == scored(truth, guess)


def test_without_ignored_voxels_the_rule_changes_nothing() -> None:
    truth, guess = blobs(2), blobs(52)
    plain = LabelScheme(SCHEME.labels, SCHEME.regions, "tumour")
    scan = Scan(Volume(truth[None], AFFINE), Volume(guess[None], AFFINE), np.ones(SHAPE, np.bool_))
    for lesions in ("none", "glioma"):
        settings = ScoreSettings.model_validate({"lesions": lesions})
        assert score_scan(scan, SCHEME, settings) == score_scan(scan, plain, settings)
        named = Scan(scan.truth, scan.predicted, scan.body, ("oedema", "core"))
        assert score_scan(named, plain, settings) == score_scan(scan, plain, settings)


@pytest.mark.parametrize("failed", [False, True])
def test_a_region_that_nobody_looked_for_is_undefined_in_every_cell(failed: bool) -> None:
    truth = np.where(blobs(3) == 2, 0, blobs(3)).astype(np.uint8)
    found = scored(truth, None if failed else blobs(53), ("core",))
    assert found["core"]["dice"] == (0.0 if failed else scored(truth, blobs(53))["core"]["dice"])
    for region in ("tumour", "healthy", "all"):
        assert set(found[region]) == {"region", "cohort"}
    assert {row["cohort"] for name, row in found.items() if name != "lesions"} == {"unknown"}
    assert found["lesions"] == {"sizes": []}


def test_a_scan_in_which_every_voxel_is_ignored_is_neither_ill_nor_healthy() -> None:
    found = scored(np.full(SHAPE, 9, np.uint8), blobs(4))
    assert found.pop("lesions") == {"sizes": []}
    assert list(found.values()) == [{"region": name, "cohort": "unknown"} for name in found]


def stage(root: Path, truth: Array, guess: Array, annotated: tuple[str, ...] | None, above: float = 0.0) -> list[Row]:
    """Run the stage on a case whose first channel is missing."""
    image = np.random.default_rng(0).normal(100, 5, (1, *SHAPE)).astype(np.float32)
    image[:, :2] = 0
    write_image(root / "T2.nii.gz", Volume(image, AFFINE))
    write_mask(root / "mask.nii.gz", Volume(truth[None], AFFINE))
    write_mask(root / "prediction/prediction.nii.gz", Volume(guess[None], AFFINE))
    record = CaseRecord(
        case="p",
        subject="p",
        channels={"T2": FileRecord(path="T2.nii.gz", sha256="0")},
        order=("T1", "T2"),
        mask=FileRecord(path="mask.nii.gz", sha256="0"),
        annotated=annotated,
        shape=SHAPE,
        affine=tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in AFFINE),
    )
    write_record(root / "case.json", record)
    scheme = SchemeRecord(labels=dict(SCHEME.labels), regions=REGIONS, tumour="tumour", ignore=9)
    write_record(root / "scheme.json", scheme)
    names = {"case": "case.json", "scheme": "scheme.json", "prediction": "prediction"}
    inputs = {"data": root, **{name: root / path for name, path in names.items()}}
    settings = ScoreStage(body=BodySettings(kind="threshold" if above else "nonzero", above=above))
    run(settings, inputs, root, Machine())
    rows: list[Row] = json.loads((root / "scores.json").read_text(encoding="utf-8"))["rows"]
    return rows


def test_the_stage_takes_annotation_from_the_record_and_the_body_from_channels_that_are_there(tmp_path: Path) -> None:
    truth, guess = with_ignored(blobs(5), 5), blobs(55)
    found = {str(row["region"]): row for row in stage(tmp_path, truth, guess, None)}
    direct = scored(truth, guess)
    for name in ("core", "tumour", "healthy", "all"):
        assert {n: found[name][n] for n in measures_of(name)} == {n: direct[name].get(n) for n in measures_of(name)}
    partly = {str(row["region"]): row for row in stage(tmp_path, truth, guess, ("core",))}
    assert tuple(partly["tumour"]) == columns
    assert all(partly["tumour"][name] is None for name in measures_of("tumour"))
    assert partly["core"]["dice"] == found["core"]["dice"]


def test_the_ignored_number_is_no_prediction(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"p: a prediction holds the labels \[0, 1, 2\], got \[9\]; predict with"):
        stage(tmp_path, blobs(6), with_ignored(blobs(56), 6), None)


def test_a_threshold_for_a_channel_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="body: a threshold needs the first channel, got it is missing"):
        stage(tmp_path, blobs(7), blobs(57), None, above=20.0)
