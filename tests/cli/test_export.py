"""The command `export`: files at the place that was asked for, or one line that says why not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from medseg.cli.main import main
from medseg.engines.packages.package import WEIGHTS
from medseg.files.nifti.writing import write_image
from medseg.values.digests import digest_of_file
from medseg.values.volume import Volume
from tests.packages import package


def test_it_exports_the_model_of_a_run_and_says_how_far_it_is_from_pytorch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = package(tmp_path / "run" / "model")
    voxels = np.random.default_rng(0).normal(size=(1, 9, 9, 9)).astype(np.float32)
    write_image(tmp_path / "scan, one.nii.gz", Volume(voxels, np.eye(4)))
    words = [
        "export",
        "model=run",
        "format=torch",
        "out=made/here.pt2",
        "images='scan, one.nii.gz'",
        "machine.threads=1",
    ]
    assert main(words) == 0
    told = capsys.readouterr()
    assert told.out == "made/here.pt2\n"
    assert "compared with PyTorch on windows of a scan: logits differ by at most" in told.err
    record = json.loads((tmp_path / "made" / "here.pt2.json").read_text())
    assert record["weights"] == digest_of_file(folder / WEIGHTS)
    assert record["parity"]["windows"] == "scan"
    assert str(tmp_path) not in (tmp_path / "made" / "here.pt2.json").read_text()


def test_a_bundle_goes_into_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = package(tmp_path / "model")
    words = ["export", f"model={folder}", "format=monai", f"out={tmp_path / 'bundle'}"]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'bundle'}\n"
    made = sorted(path.relative_to(tmp_path / "bundle").as_posix() for path in (tmp_path / "bundle").rglob("*.*"))
    assert made == ["configs/inference.json", "configs/metadata.json", "export.json", "models/model.pt2"]


WRONG = [
    (["format=torch", "out=x.pt2"], "model: a value is needed"),
    (["model=nowhere", "format=torch", "out=x.pt2"], "model: a folder with card.json and weights.safetensors, or of a"),
    (["model=.", "format=tensorrt", "out=x.trt"], "format: must be 'onnx', 'torch' or 'monai', got \"tensorrt\""),
    (["model=.", "format=torch"], "out: a value is needed"),
    (["model=.", "format=torch", "out="], "out: "),
    (["model=.", "format=torch", "out=model/weights.safetensors"], "out: the file ends with .pt2"),
    (["model=.", "format=torch", "out=model.onnx"], "out: the file ends with .pt2, got model.onnx; write out=FILE.pt2"),
    (["model=.", "format=torch", "out=folder.pt2"], "out: a file is needed, got the folder folder.pt2"),
    (["model=.", "format=monai", "out=model"], "out: a bundle goes into a new folder or an older bundle, got model"),
    (
        ["model=.", "format=torch", "out=x.pt2", "imges=a"],
        "imges: unknown setting, got 'imges'; did you mean 'images'?",
    ),
    (["model=.", "format=torch", "out=x.pt2", "images=[a,b]"], "images: one file for each of the 1 channels: channel0"),
    (["model=.", "format=torch", "out=x.pt2", "machine.thread=1"], "machine.thread: unknown setting"),
    (["model=.", "format=torch", "out=${oc.env:HOME}.pt2"], "out: a plain value is needed, not an interpolation"),
    (["model=.", "format=torch", "out=x.pt2", "-m"], "export: one model is exported at a time"),
]


@pytest.mark.parametrize(("words", "told"), WRONG)
def test_wrong_words_end_with_2_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    package(tmp_path / "model")
    (tmp_path / "folder.pt2").mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert main(["export", *words]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert errors[0].startswith("medseg ")
    assert errors[-1].startswith(f"error: {told}")
    assert len(errors) == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_an_unreadable_scan_and_a_place_without_rights_end_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    package(tmp_path / "model")
    (tmp_path / "scan.nii.gz").write_bytes(b"nothing like a scan")
    assert main(["export", "model=model", "format=torch", "out=x.pt2", "images=scan.nii.gz"]) == 1
    assert "scan.nii.gz" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "x.pt2").exists()
    assert main(["export", "model=model", "format=torch", "out=scan.nii.gz/x.pt2"]) == 1
    assert (
        capsys.readouterr().err.splitlines()[-1].startswith("error: scan.nii.gz/x.pt2: the file can be written, got ")
    )
