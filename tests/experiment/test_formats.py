"""Label maps of a run in the format that was asked for: each equals the NIfTI one, or its case says why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medseg.experiment.formats import ENDINGS, write_predictions
from medseg.experiment.outcome import Outcome
from medseg.experiment.publish import publish
from medseg.files.nifti.writing import write_mask
from medseg.files.records import CaseRecord, FileRecord, SchemeRecord, write_record
from medseg.files.scans import read_image, read_mask
from medseg.pipeline.store import Finished, Source
from medseg.values.volume import Volume
from tests.files.foreign.dicom_making import STORED, make_series

CHANNELS = {"a": "scans/a", "b": "b.nii.gz"}


@pytest.fixture
def outcome(tmp_path: Path) -> Outcome:
    """Two predictions: of case a, whose first channel is a DICOM series, and of case b, whose is not."""
    data, store = tmp_path / "data", tmp_path / "store"
    affine = read_image(make_series(data / "scans" / "a")).affine
    labels = (np.abs(STORED) % 3 * (STORED > 600)).astype(np.uint8)
    write_mask(data / "b.nii.gz", Volume(labels[None], affine))
    scheme = SchemeRecord(labels={"core": 1, "rim": 2}, regions={"tumour": (1, 2)}, tumour="tumour")
    write_record(store / "index" / "scheme.json", scheme)
    reached = Outcome(stages={"index": Finished(store / "index", {"files": {}})}, data=Source(data, "0"))
    for case, path in CHANNELS.items():
        record = CaseRecord(case=case, subject=case, channels={"CT": FileRecord(path=path, sha256="0")}, mask=None)
        write_record(store / "index" / "cases" / f"{case}.json", record)
        write_mask(store / case / "prediction.nii.gz", Volume(labels[None], affine))
        reached.predictions[case] = Finished(store / case, {"files": {}})
    return reached


@pytest.mark.parametrize("write", ["nrrd", "mha"])
def test_each_equals_the_nifti_one(tmp_path: Path, outcome: Outcome, write: str) -> None:
    failed = publish(tmp_path / "run", outcome, write)  # type: ignore[arg-type]
    assert failed == {}
    folder = tmp_path / "run" / "predictions"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{case}{ending}" for case in CHANNELS for ending in (".nii.gz", f".{write}")
    )
    for case in CHANNELS:
        stored, other = read_mask(folder / f"{case}.nii.gz"), read_mask(folder / f"{case}.{write}")
        np.testing.assert_array_equal(other.voxels, stored.voxels)
        np.testing.assert_allclose(other.affine, stored.affine, atol=1e-6)
        header = (folder / f"{case}.{write}").read_bytes()[:4000]
        assert (b"Segment1_Name:=rim\n" in header) == (write == "nrrd")


def test_dicom_seg_needs_a_series(tmp_path: Path, outcome: Outcome) -> None:
    pytest.importorskip("highdicom", reason="needs the extra medseg[dicom]")
    failed = publish(tmp_path / "run", outcome, "dicom_seg")
    assert list(failed) == ["b"]
    assert "a DICOM-SEG belongs to a DICOM series, got none; write NIfTI, NRRD or MHA instead" in failed["b"]
    folder = tmp_path / "run" / "predictions"
    assert sorted(path.name for path in folder.iterdir()) == ["a.dcm", "a.nii.gz", "b.nii.gz"]
    stored, other = read_mask(folder / "a.nii.gz"), read_mask(folder / "a.dcm")
    np.testing.assert_array_equal(other.voxels, stored.voxels)


def test_nifti_is_there_already(tmp_path: Path, outcome: Outcome) -> None:
    assert write_predictions(tmp_path / "none", outcome, "nifti") == {}
    assert not (tmp_path / "none").exists()
    assert set(ENDINGS) == {"nifti", "nrrd", "mha", "dicom_seg"}
