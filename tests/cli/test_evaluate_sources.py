"""`medseg evaluate` on what other systems write: formats, data sets in a layout, images, probability maps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from medseg.files.nifti.probabilities import write_probabilities
from tests.cli.evaluate_data import (
    AFFINE,
    SHAPE,
    Array,
    content,
    evaluate,
    make_sides,
    mask,
    moved,
    refused,
    rows,
    save,
)


def write_itk(path: Path, voxels: Array) -> None:
    """Write a mask on the grid of `AFFINE` with SimpleITK, whose axes run to the left and to the back."""
    image = sitk.GetImageFromArray(voxels.transpose(2, 1, 0))
    spacing = np.linalg.norm(AFFINE[:3, :3], axis=0)
    directions = np.diag([-1.0, -1.0, 1.0]) @ AFFINE[:3, :3] / spacing
    image.SetSpacing(spacing.tolist())
    image.SetDirection(directions.ravel().tolist())
    image.SetOrigin((np.diag([-1.0, -1.0, 1.0]) @ AFFINE[:3, 3]).tolist())
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


def test_formats_may_differ_from_case_to_case_and_from_side_to_side(tmp_path: Path) -> None:
    for number, (truth, guess) in enumerate([(".nii.gz", ".nrrd"), (".mha", ".nii"), (".nrrd", ".mha")]):
        both = {"truth": (truth, mask(number, 1, 2)), "predictions": (guess, moved(mask(number, 1, 2)))}
        for side, (ending, voxels) in both.items():
            path = tmp_path / side / f"p{number}{ending}"
            save(path, voxels) if ending.startswith(".nii") else write_itk(path, voxels)
    code, _, errors = evaluate(tmp_path)
    assert code == 0, errors
    make_sides(tmp_path / "plain", 3, 1, 2)
    assert evaluate(tmp_path / "plain")[0] == 0
    found, expected = rows(tmp_path / "out"), rows(tmp_path / "plain" / "out")
    assert found.keys() == expected.keys()
    measured = {key: row for key, row in expected.items() if key[1] not in ("healthy", "all")}
    assert len(measured) == 9
    for key, row in measured.items():
        assert [found[key][name] for name in ("dice", "assd_mm", "nsd")] == pytest.approx(
            [row[name] for name in ("dice", "assd_mm", "nsd")], rel=1e-5
        )


def test_dicom_segmentations_are_parts_of_their_scan(tmp_path: Path) -> None:
    pytest.importorskip("highdicom", reason="needs the extra medseg[dicom]")
    dicom = pytest.importorskip("tests.files.foreign.dicom_making")
    from medseg.files.foreign.dicom.writing import write_dicom_seg
    from medseg.files.scans import read_image
    from medseg.values.volume import Volume

    series = dicom.make_series(tmp_path / "series")
    affine = read_image(series).affine
    truth = np.zeros(dicom.STORED.shape, np.uint8)
    truth[2:5, 2:6, 1:3] = 1
    guess = np.zeros_like(truth)
    guess[2:5, 2:6, 2:4] = 1
    names = {1: "tumour"}
    for folder, voxels in (("truth", truth), ("predictions", guess), ("more", guess)):
        (tmp_path / folder).mkdir()
        write_dicom_seg(tmp_path / folder / "a.dcm", Volume(voxels[None], affine), names, series)
        save(tmp_path / f"{folder}_whole" / "a.nii.gz", voxels, affine)
    write_dicom_seg(tmp_path / "more" / "b.dcm", Volume(guess[None], affine), names, series)
    settings = ("data.labels={tumour: 1}",)
    for place, (one, other) in enumerate([("", ""), ("", "_whole"), ("_whole", ""), ("_whole", "_whole")]):
        sides = (f"truth={tmp_path / f'truth{one}'}", f"predictions={tmp_path / f'predictions{other}'}")
        code, _, errors = evaluate(tmp_path, *sides, *settings, out=f"out{place}")
        assert code == 0, errors
        row = rows(tmp_path / f"out{place}")["a", "tumour"]
        assert row["dice"] == pytest.approx(0.5)
        assert row["volume_truth_ml"] == pytest.approx(row["volume_predicted_ml"])
    words = (f"predictions={tmp_path / 'more'}", f"truth={tmp_path / 'truth_whole'}", *settings)
    code, _, errors = evaluate(tmp_path, *words, out="many")
    assert code == 0, errors
    assert "left out: b" in errors, "several segmentations in a folder are several masks"


def test_healthy_tissue_needs_an_image_and_is_the_body_without_tumour(tmp_path: Path) -> None:
    make_sides(tmp_path, 3)
    image = np.zeros(SHAPE, np.float32)
    image[2:-1, 1:-1, 1:-1] = 100
    save(tmp_path / "images" / "p0.nii.gz", image)
    save(tmp_path / "images" / "p1_0000.nii.gz", image[:, :, :-1])
    (tmp_path / "images" / "p2.nii.gz").write_bytes(b"no scan")
    code, _, errors = evaluate(tmp_path, f"images={tmp_path / 'images'}", "body.kind=nonzero")
    assert code == 0, errors
    found = rows(tmp_path / "out")
    expected = np.count_nonzero((image > 0) & (mask(0, 1) == 0)) * float(np.prod([1.5, 1.25, 2.0])) / 1000
    assert found["p0", "healthy"]["volume_truth_ml"] == pytest.approx(expected)
    assert found["p1", "healthy"]["dice"] is not None, "an image on another grid is brought to that of the truth"
    assert found["p2", "healthy"]["dice"] is None
    assert "warning: p2: the image was left out: " in errors
    assert found["p2", "label_1"]["dice"] == pytest.approx(0.75)


def test_cases_without_an_image_are_told(tmp_path: Path) -> None:
    make_sides(tmp_path, 3)
    save(tmp_path / "images" / "p1.nii.gz", np.random.default_rng(1).normal(size=SHAPE).astype(np.float32))
    code, _, errors = evaluate(tmp_path, f"images={tmp_path / 'images'}")
    assert code == 0
    assert "warning: 2 of 3 have no image: p0, p2" in errors


def make_nnunet(root: Path) -> None:
    """Write a data set of nnU-Net with two training cases and one for testing."""
    image = np.random.default_rng(1).normal(100, 9, SHAPE).astype(np.float32)
    for part, number in (("Tr", 0), ("Tr", 1), ("Ts", 2)):
        save(root / f"images{part}" / f"p{number}_0000.nii.gz", image)
        save(root / f"labels{part}" / f"p{number}.nii.gz", mask(number, 1, 2))
    described = (
        '{"channel_names": {"0": "T1"}, "labels": {"background": 0, "core": 1, "oedema": 2}, "file_ending": ".nii.gz"}'
    )
    (root / "dataset.json").write_text(described, encoding="utf-8")


def test_the_truth_may_be_a_data_set_or_a_folder_of_one(tmp_path: Path) -> None:
    make_nnunet(tmp_path / "set")
    for number in range(3):
        save(tmp_path / "predictions" / f"p{number}.nii.gz", moved(mask(number, 1, 2)))
    code, _, errors = evaluate(tmp_path, f"truth={tmp_path / 'set'}", "regions={whole: [1, 2]}")
    assert code == 0, errors
    assert f"3 scans with a true mask in {tmp_path / 'set'} (layout nnunet)" in errors
    assert rows(tmp_path / "out")["p2", "healthy"]["dice"] is not None, "the data set has the images too"
    told = refused(tmp_path, f"truth={tmp_path / 'set'}", "truth_suffix=_gt", out="other")
    assert told.startswith("truth_suffix: is set for a folder of masks alone, got _gt; take it out, or set data.layout")
    code, _, errors = evaluate(tmp_path, f"truth={tmp_path / 'set' / 'labelsTs'}", out="test")
    assert code == 0, errors
    found = rows(tmp_path / "test")
    assert list(dict.fromkeys(case for case, _ in found)) == ["p2"]
    assert ("p2", "core") in found, "dataset.json beside the folder names the labels"
    assert "left out: p0, p1" in errors


def test_the_truth_may_be_a_table_of_cases(tmp_path: Path) -> None:
    make_sides(tmp_path, 2)
    image = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    save(tmp_path / "scan.nii.gz", image)
    lines = ["case,subject,site,t1,label,annotated", "p0,S1,A,scan.nii.gz,truth/p0.nii.gz,label_1"]
    (tmp_path / "cases.csv").write_text("\n".join(lines), encoding="utf-8")
    words = (f"truth={tmp_path / 'cases.csv'}", "data.labels={label_1: 1, label_2: 2}", "tumour=label_1")
    code, _, errors = evaluate(tmp_path, *words)
    assert code == 0, errors
    found = rows(tmp_path / "out")
    assert (found["p0", "label_1"]["subject"], found["p0", "label_1"]["site"]) == ("S1", "A")
    assert found["p0", "label_2"]["volume_truth_ml"] is None, "nobody looked for it"
    assert found["p0", "label_1"]["dice"] == pytest.approx(0.75)


def test_probability_maps_give_calibration(tmp_path: Path) -> None:
    make_sides(tmp_path, 5)
    for number, name in enumerate(("p0", "p1", "p2")):
        sure = moved(mask(number, 1)).astype(np.float32)
        one = sure[None] if number else np.stack([1 - sure, sure])
        path = tmp_path / "predictions" / f"{name}.probabilities.nii.gz"
        write_probabilities(path, one, AFFINE)
    save(tmp_path / "predictions" / "p3.probabilities.nii.gz", np.full(SHAPE, 1.5, np.float32))
    code, _, errors = evaluate(tmp_path, f"probabilities={tmp_path / 'predictions'}")
    assert code == 0, errors
    assert "warning: 1 of 5 have no probability map: p4" in errors
    assert "warning: p3: the probability map was left out: " in errors
    assert "probabilities are from 0 to 1, got 1.5 to 1.5" in errors
    found = rows(tmp_path / "out")
    for number, name in enumerate(("p0", "p1", "p2")):
        wrong = np.mean(moved(mask(number, 1)) != mask(number, 1))
        assert found[name, "label_1"]["brier"] == pytest.approx(wrong)
    assert found["p3", "label_1"]["brier"] is None
    assert found["p4", "label_1"]["brier"] is None
    assert content(tmp_path / "out" / "evaluate.json")["cases"]["p4"]["probabilities"] is None


DYING = """
import os, signal
from medseg.experiment.evaluating.sharing import shared

def work(number):
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"number": number}

print(list(shared("test", work, 4, 2)))
"""


def test_a_process_that_is_killed_costs_its_case_only() -> None:
    done = subprocess.run([sys.executable, "-c", DYING], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert (
        "{'number': 0}, 'the work on it comes to an end, got a process that was ended by signal 9 (Killed); use"
        in done.stdout
    )
    assert done.stdout.rstrip().endswith("{'number': 2}, {'number': 3}]")


def test_two_processes_from_the_command_line_give_the_bytes_of_one(tmp_path: Path) -> None:
    make_sides(tmp_path, 3)
    (tmp_path / "predictions" / "p1.nii.gz").unlink()
    command = [sys.executable, "-m", "medseg", "evaluate", "predictions=predictions", "truth=truth"]
    ends = [
        subprocess.run([*command, f"out={out}", f"machine.workers={out}"], cwd=tmp_path, capture_output=True, text=True,
                       timeout=300, check=False)
        for out in ("1", "2")
    ]  # fmt: skip
    assert [(end.returncode, end.stdout) for end in ends] == [(1, f"{out}/report.html\n") for out in ("1", "2")]
    for name in ("scores.csv", "summary.json", "report.html", "evaluate.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    assert "Traceback" not in "".join(end.stderr for end in ends)
