"""What is mended is mended because it was asked for, is recorded, and is mended again whenever the case is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medseg.files.layouts.find import DataSettings
from medseg.files.records import CaseRecord, read_cases
from medseg.stages.cases import load_channels, load_mask
from medseg.stages.index import IndexSettings, run
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from tests.stages.tiny_scans import AFFINE, labels, save, voxels

SETTINGS = DataSettings(labels={"core": 1, "rim": 2}, regions={"core": (1,), "tumour": (1, 2)})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One sound case of two channels."""
    folder = tmp_path / "data"
    save(folder / "A/A_flair.nii.gz", voxels(1))
    save(folder / "A/A_t1.nii.gz", voxels(2))
    save(folder / "A/A_seg.nii.gz", labels())
    return folder


def looked_at(root: Path, **settings: Any) -> CaseRecord:
    """Index the one case with some settings changed."""
    out = root.parent / f"out_{len(list(root.parent.iterdir()))}"
    out.mkdir()
    data = DataSettings.model_validate({**SETTINGS.model_dump(), **settings})
    run(IndexSettings(data=data), {"data": root}, out, Machine(threads=1, store=str(root.parent / "store")))
    (record,) = read_cases(out / "cases.json")
    return record


def refusal(record: CaseRecord) -> str:
    """Return the one line that says why a case was refused."""
    assert record.refused is not None
    return f"{record.refused.subject}: {record.refused.rule}, got {record.refused.value}; {record.refused.remedy}"


def test_a_mask_on_another_grid_is_resampled_only_on_request(root: Path) -> None:
    path = save(root / "A/A_seg.nii.gz", labels().repeat(2, 0)[1:], AFFINE @ np.diag([0.5, 1, 1, 1]))
    before = path.read_bytes()
    record = looked_at(root)
    assert refusal(record).startswith("A/A_seg.nii.gz: the mask lies on the grid of the first channel")
    assert refusal(record).endswith("or set data.repair=[resample_mask]")
    assert record.findings[0].override == "data.repair=[resample_mask]"
    mended = looked_at(root, repair=("resample_mask",))
    assert mended.refused is None
    assert mended.mask is not None
    assert mended.mask.reading.repair == ("resample_mask",)
    assert [(one.severity, one.override) for one in mended.findings] == [("note", "data.repair=[resample_mask]")]
    mask = load_mask(mended, root)
    assert mask.shape == load_channels(mended, root).shape
    expected = np.flip(labels(), 0)  # canonical axes; every second voxel of the finer mask is the coarse one
    assert np.array_equal(np.flip(mask.voxels[0], 0)[1:], np.flip(expected, 0)[1:])
    assert path.read_bytes() == before


def test_unknown_labels_become_background_only_on_request(root: Path) -> None:
    mask = labels()
    mask[0, 0, :2] = 9
    save(root / "A/A_seg.nii.gz", mask)
    assert "a mask holds only 0, 1, 2, got 9 in 2 voxels" in refusal(looked_at(root))
    mended = looked_at(root, repair=("drop_unknown_labels",))
    assert (mended.refused, mended.labels) == (None, {"1": 6, "2": 12})
    assert mended.mask is not None
    assert mended.mask.dropped == (9,)
    assert np.array_equal(np.flip(load_mask(mended, root).voxels[0], 0), labels())


def test_masks_of_interpolated_floats_are_rounded_only_on_request(root: Path) -> None:
    soft = labels().astype(np.float32)
    soft[2, 2, 2] = 1.6
    save(root / "A/A_seg.nii.gz", soft)
    assert "data.repair=[round_mask]" in refusal(looked_at(root))
    mended = looked_at(root, repair=("round_mask", "resample_mask"))
    assert mended.mask is not None
    assert mended.mask.reading.repair == ("round_mask",)
    assert np.array_equal(np.flip(load_mask(mended, root).voxels[0], 0), labels())


def test_voxels_that_are_no_numbers_are_filled_only_on_request(root: Path) -> None:
    broken = voxels(2)
    broken[1, 2, 3:5] = np.nan, np.inf
    save(root / "A/A_t1.nii.gz", broken)
    assert "data.repair=[fill_nonfinite]" in refusal(looked_at(root))
    mended = looked_at(root, repair=("fill_nonfinite",))
    assert mended.channels["t1"].reading.repair == ("fill_nonfinite",)
    assert mended.channels["flair"].reading.repair == ()
    expected = voxels(2)
    expected[1, 2, 3:5] = broken[np.isfinite(broken)].min()
    assert np.array_equal(np.flip(load_channels(mended, root).voxels[1], 0), expected)


def test_channels_on_other_grids_are_resampled_unless_that_is_switched_off(root: Path) -> None:
    save(root / "A/A_t1.nii.gz", voxels(2)[::2, ::2, ::2], AFFINE @ np.diag([2.0, 2, 2, 1]))
    record = looked_at(root)
    assert record.refused is None
    assert [(one.severity, one.file) for one in record.findings] == [("note", "A/A_t1.nii.gz")]
    assert load_channels(record, root).voxels.shape == (2, 8, 7, 6)
    strict = looked_at(root, resample_channels=False)
    assert "all channels lie on the grid of the first one" in refusal(strict)
    assert "data.resample_channels=true" in refusal(strict)


@pytest.mark.parametrize(("shift", "accepted"), [(1e-7, True), (5e-4, True), (1e-2, False)])
def test_small_differences_are_harmonised(root: Path, shift: float, accepted: bool) -> None:
    moved = AFFINE.copy()
    moved[:3, 3] += shift * np.array([1.5, 2, 3])
    save(root / "A/A_t1.nii.gz", voxels(2), moved)
    save(root / "A/A_seg.nii.gz", labels(), moved)
    record = looked_at(root)
    assert (record.refused is None) is accepted
    if accepted:
        volume = load_channels(record, root)
        assert np.array_equal(np.flip(volume.voxels[1], 0), voxels(2))
        assert np.array_equal(volume.affine, load_mask(record, root).affine)


def test_a_missing_channel_is_zeros_only_on_request(root: Path) -> None:
    (root / "A/A_t1.nii.gz").unlink()
    save(root / "B/B_flair.nii.gz", voxels(3))
    save(root / "B/B_t1.nii.gz", voxels(4))
    save(root / "B/B_seg.nii.gz", labels())
    out = root.parent / "missing"
    for word in ("refuse", "zeros"):
        data = DataSettings.model_validate({**SETTINGS.model_dump(), "missing_channel": word})
        (out / word).mkdir(parents=True)
        run(IndexSettings(data=data), {"data": root}, out / word, Machine(store=str(out / "store")))
    refused, complete = read_cases(out / "refuse" / "cases.json")
    assert "data.missing_channel=zeros" in refusal(refused)
    assert complete.refused is None
    filled, _ = read_cases(out / "zeros" / "cases.json")
    assert (filled.refused, filled.missing, filled.channel_names) == (None, ("t1",), ("flair", "t1"))
    loaded = load_channels(filled, root).voxels
    assert np.array_equal(np.flip(loaded[0], 0), voxels(1))
    assert not loaded[1].any()


def test_labels_that_were_not_annotated_are_told_of(root: Path) -> None:
    table = "case,flair,t1,label,annotated\nA,A/A_flair.nii.gz,A/A_t1.nii.gz,A/A_seg.nii.gz,core\n"
    (root / "list.csv").write_text(table)
    record = looked_at(root / "list.csv")
    assert record.annotated == ("core",)
    assert [(one.severity, one.value) for one in record.findings] == [("warn", "rim")]
    (root / "list.csv").write_text(table.replace("core", "kore"))
    with pytest.raises(Refusal, match="A: annotated labels are among core, rim, got kore"):
        looked_at(root / "list.csv")


def test_a_record_is_the_same_json_after_reading_it_again(root: Path) -> None:
    record = looked_at(root)
    assert CaseRecord.model_validate_json(json.dumps(json.loads(record.model_dump_json()))) == record


def test_numbers_without_names_are_found_in_masks_as_they_are_read(root: Path) -> None:
    soft = labels().astype(np.float32)
    soft[soft == 2] = 3.8
    save(root / "A/A_seg.nii.gz", soft)
    mended = looked_at(root, repair=("round_mask",), labels={}, regions={}, tumour=None)
    assert (mended.refused, mended.labels) == (None, {"1": 6, "4": 12})
