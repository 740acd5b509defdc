"""Masks that a person has changed: `medseg segment` neither writes over them nor deletes them, and says what it did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from tests.cli.segment_data import labels, listed, make_model, make_scans, save, segment, voxels

STAYS = "the mask was changed after it was made and stays as it is"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("package"))


@pytest.fixture
def words(tmp_path: Path, model: Path) -> tuple[str, ...]:
    """A command that has been given once, for two scans."""
    make_scans(tmp_path / "scans", 2)
    words = (f"model={model}", f"images={tmp_path / 'scans'}", f"out={tmp_path / 'out'}", "guard=off")
    assert segment(*words)[0] == 0
    return words


def corrected(path: Path) -> bytes:
    """Draw into a mask as people do, and return the file's bytes."""
    mask = nibabel.load(path)
    drawn = 1 - np.asarray(mask.dataobj)
    nibabel.Nifti1Image(drawn, mask.affine).to_filename(path)
    return path.read_bytes()


def record(out: Path, case: str) -> dict[str, Any]:
    found: dict[str, Any] = listed(out)["cases"][case]
    return found


def test_a_mask_that_was_corrected_stays_with_the_same_command(tmp_path: Path, words: tuple[str, ...]) -> None:
    out = tmp_path / "out"
    mine = corrected(out / "a0.nii.gz")
    assert segment(*words)[0] == 0
    assert (out / "a0.nii.gz").read_bytes() == mine
    assert STAYS in record(out, "a0")["notes"][0]
    assert STAYS in (out / "segment.html").read_text(encoding="utf-8")
    assert record(out, "a1")["notes"] == []
    assert segment(*words)[0] == 0
    assert len(record(out, "a0")["notes"]) == 1, "said once, however often the command is given"


def test_it_goes_aside_for_a_mask_that_is_made_otherwise(tmp_path: Path, words: tuple[str, ...]) -> None:
    out = tmp_path / "out"
    kept = {out / "a0.set-aside.nii.gz": corrected(out / "a0.nii.gz")}
    assert segment(*words, "inference.overlap=0.25")[0] == 0
    assert record(out, "a0")["notes"] == ["a0.nii.gz was not as segment had made it: it is kept as a0.set-aside.nii.gz"]
    kept[out / "a0.set-aside-2.nii.gz"] = corrected(out / "a0.nii.gz")
    (out / "a0.nrrd").write_bytes(b"a segmentation of another program")
    kept[out / "a0.set-aside.nrrd"] = b"a segmentation of another program"
    assert segment(*words, "machine.write=mha")[0] == 0
    assert {path: path.read_bytes() for path in kept} == kept
    assert sorted(path.name for path in out.glob("a1*")) == ["a1.json", "a1.mha"], "what segment made goes as before"


def test_a_mask_of_a_command_that_was_killed_before_its_record_is_no_ones_work(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    whole = (out / "a0.nii.gz").read_bytes()
    (out / "a0.json").unlink()
    assert segment(*words)[0] == 0
    assert sorted(path.name for path in out.glob("a0*")) == ["a0.json", "a0.nii.gz"]
    assert (out / "a0.nii.gz").read_bytes() == whole
    assert record(out, "a0")["notes"] == []


def test_a_mask_drawn_for_a_scan_that_fails_is_left_alone(tmp_path: Path, words: tuple[str, ...]) -> None:
    out = tmp_path / "out"
    (tmp_path / "scans" / "a1.nii.gz").write_bytes(b"no scan any more")
    assert segment(*words)[0] == 1
    assert not (out / "a1.nii.gz").exists(), "the mask that was made of another file goes"
    save(out / "a1.nii.gz", np.ones((14, 12, 10), np.uint8))
    assert segment(*words)[0] == 1
    assert labels(out / "a1.nii.gz").all()
    assert record(out, "a1")["notes"] == ["a1.nii.gz is not as segment had made it, and stays"]
    save(tmp_path / "scans" / "a1.nii.gz", voxels(1))
    assert segment(*words)[0] == 0
    assert labels(out / "a1.set-aside.nii.gz").all()
