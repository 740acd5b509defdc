"""DICOM series are segmented as they lie, and get DICOM segmentations where these are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import medseg
from medseg.files.scans import read_image, read_mask
from tests.cli.segment_data import labels, listed, make_model, save, segment, voxels

pytest.importorskip("highdicom", reason="needs the extra medseg[dicom]")
dicom = pytest.importorskip("tests.files.foreign.dicom_making")


def test_a_series_gets_a_dicom_segmentation_and_any_other_scan_nifti(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model")
    series = dicom.make_series(tmp_path / "scans" / "s1")
    save(tmp_path / "scans" / "a.nii.gz", voxels(1))
    words = (f"model={model}", f"images={tmp_path / 'scans'}", f"out={tmp_path / 'out'}", "machine.threads=0")
    code, _, errors = segment(*words, "machine.write=dicom_seg")
    assert code == 0, errors
    out = tmp_path / "out"
    assert sorted(path.name for path in out.glob("[as]*.*") if path.suffix != ".json") == [
        "a.nii.gz", "s1.dcm", "segment.html",
    ]  # fmt: skip
    found = listed(out)["cases"]
    assert found["a"]["notes"] == ["written as NIfTI, as the scan is no DICOM series"]
    assert found["s1"]["notes"] == []
    expected = medseg.load(model, device="cpu").segment(read_image(series))
    written = read_mask(out / "s1.dcm")
    assert expected.voxels.any()
    assert np.array_equal(written.voxels, expected.voxels)
    assert np.allclose(written.affine, expected.affine, atol=1e-3)
    code, _, errors = segment(f"model={model}", f"images={series}", f"out={tmp_path / 'one'}", "machine.threads=0")
    assert code == 0, errors
    assert np.array_equal(labels(tmp_path / "one" / "s1.nii.gz"), expected.voxels[0])
