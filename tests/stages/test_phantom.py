"""The phantom stage writes a folder per case that other programs read, and the same bytes every time."""

from __future__ import annotations

import logging
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medseg.ops.phantom import PhantomSettings, make_phantom
from medseg.stages import phantom
from medseg.values.digests import digest_of_file
from medseg.values.error import Refusal
from medseg.values.machine import Machine

SETTINGS = PhantomSettings(subjects=3, voxels=(24, 40), spacing_mm=(5.0, 6.0))


def machine(threads: int) -> Machine:
    return Machine.model_validate({"threads": threads})


def digests(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): digest_of_file(path) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantoms")
    phantom.run(SETTINGS, {}, out, machine(2))
    return out


def test_every_case_has_its_folder_with_two_channels_and_a_mask(written: Path) -> None:
    assert set(digests(written)) == {
        f"data/phantom_{subject:03d}/phantom_{subject:03d}_{part}.nii.gz"
        for subject in (1, 2, 3)
        for part in ("flair", "t1", "seg")
    }


def test_another_reader_finds_the_same_voxels_in_the_same_place(written: Path) -> None:
    for subject in (1, 2, 3):
        image, mask = make_phantom(SETTINGS, subject)
        case = f"phantom_{subject:03d}"
        for part, expected in (("flair", image.voxels[0]), ("t1", image.voxels[1]), ("seg", mask.voxels[0])):
            file = nib.nifti1.load(written / "data" / case / f"{case}_{part}.nii.gz")
            assert np.array_equal(np.asarray(file.dataobj), expected)
            assert np.allclose(file.affine, image.affine, atol=1e-4)
            assert file.get_data_dtype() == (np.uint8 if part == "seg" else np.float32)


def test_bytes_do_not_depend_on_threads_or_on_an_earlier_draft(written: Path, tmp_path: Path) -> None:
    draft = tmp_path / "data" / "phantom_002"
    draft.mkdir(parents=True)
    (draft / "phantom_002_seg.nii.gz").write_bytes(b"half a file")
    phantom.run(SETTINGS, {}, tmp_path, machine(1))
    assert digests(tmp_path) == digests(written)


def test_a_smaller_set_is_the_beginning_of_a_larger_one(written: Path, tmp_path: Path) -> None:
    phantom.run(SETTINGS.model_copy(update={"subjects": 2}), {}, tmp_path, machine(0))
    smaller = digests(tmp_path)
    assert len(smaller) == 6
    assert smaller.items() <= digests(written).items()


def test_another_seed_writes_other_images(written: Path, tmp_path: Path) -> None:
    phantom.run(SETTINGS.model_copy(update={"subjects": 1, "seed": 1}), {}, tmp_path, machine(1))
    images = {path: digest for path, digest in digests(tmp_path).items() if not path.endswith("_seg.nii.gz")}
    assert len(images) == 2
    assert not set(images.values()) & set(digests(written).values())


def test_progress_counts_every_case(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "medseg.progress"):
        phantom.run(SETTINGS, {}, tmp_path, machine(2))
    news = [record.__dict__["progress"] for record in caplog.records]
    assert [(piece.task, piece.done, piece.total, piece.unit) for piece in news] == [
        ("phantoms", done, 3, "cases") for done in range(4)
    ]


def test_an_unwritable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder is needed")
    with pytest.raises(Refusal, match="the file can be written"):
        phantom.run(SETTINGS, {}, tmp_path, machine(2))
