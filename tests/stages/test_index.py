"""The index takes what can be used, and says of everything else why not."""

from __future__ import annotations

import base64
import gzip
import io
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from medseg.files.layouts.find import DataSettings
from medseg.files.nifti.writing import write_image, write_mask
from medseg.files.records import CaseRecord, SchemeRecord, read_case, read_cases, read_sights
from medseg.stages.index import IndexSettings, run
from medseg.stages.intake import looking
from medseg.values.digests import digest_of_file
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from medseg.values.volume import Volume
from tests.stages.tiny_scans import Array, labels, voxels
from tests.stages.tiny_scans import save as save_on

DATA = Path(__file__).parents[3] / "shared" / "data"
AFFINE = np.array([[-1.5, 0, 0, 10], [0, 2, 0.25, -20], [0, -0.25, 3, 30], [0, 0, 0, 1.0]])
SETTINGS = DataSettings(labels={"core": 1, "rim": 2}, regions={"core": (1,), "tumour": (1, 2)})


def save(path: Path, array: Array, affine: Array = AFFINE) -> Path:
    """Write a file on a slanted grid, unless told otherwise."""
    return save_on(path, array, affine)


def made(root: Path, *cases: str) -> Path:
    """Make a data set in the brats layout, two channels."""
    for number, case in enumerate(cases):
        save(root / case / f"{case}_flair.nii.gz", voxels(number))
        save(root / case / f"{case}_t1.nii.gz", voxels(number + 100))
        save(root / case / f"{case}_seg.nii.gz", labels())
    return root


def indexed(root: Path, out: Path, settings: DataSettings = SETTINGS) -> dict[str, CaseRecord]:
    """Run the stage and return the table's records."""
    out.mkdir(exist_ok=True)
    run(IndexSettings(data=settings), {"data": root}, out, Machine(threads=2, store=str(out.parent / "store")))
    table = json.loads((out / "cases.json").read_text())
    records = [CaseRecord.model_validate_json(json.dumps(record)) for record in table["cases"]]
    accepted = {f"{record.case}.json" for record in records if record.refused is None}
    assert {path.name for path in (out / "cases").iterdir()} == accepted
    for record in records:
        alone = record.model_copy(update={"findings": ()})
        assert record.refused is not None or read_case(out / "cases" / f"{record.case}.json") == alone
    assert list(read_cases(out / "cases.json")) == records
    return {record.case: record for record in records}


def test_an_accepted_case_is_described_completely(tmp_path: Path) -> None:
    root = made(tmp_path / "data", "B", "A")
    records = indexed(root, tmp_path / "out")
    record = records["A"]
    assert list(records) == ["A", "B"]
    assert record.refused is None
    assert list(record.channels) == ["flair", "t1"]
    assert record.channels["t1"].path == "A/A_t1.nii.gz"
    assert record.channels["t1"].sha256 == digest_of_file(root / "A/A_t1.nii.gz")
    assert record.mask is not None
    assert record.mask.path == "A/A_seg.nii.gz"
    assert record.shape == (8, 7, 6)
    assert np.allclose(np.array(record.affine), AFFINE)
    assert record.spacing_mm == pytest.approx((1.5, np.hypot(2, 0.25), np.hypot(3, 0.25)))
    assert (record.labels, record.tumour_voxels) == ({"1": 6, "2": 12}, 18)
    table = json.loads((tmp_path / "out" / "cases.json").read_text())
    assert (table["layout"], table["channels"]) == ("brats", ["flair", "t1"])
    scheme = SchemeRecord.model_validate_json((tmp_path / "out" / "scheme.json").read_text())
    assert scheme == SchemeRecord(labels=dict(SETTINGS.labels), regions=dict(SETTINGS.regions), tumour="tumour")


def test_a_healthy_case_has_an_empty_mask(tmp_path: Path) -> None:
    root = made(tmp_path / "data", "A", "B")
    save(root / "B/B_seg.nii.gz", np.zeros((8, 7, 6), np.uint8))
    record = indexed(root, tmp_path / "out")["B"]
    assert (record.refused, record.labels, record.tumour_voxels) == (None, {}, 0)


def truncate(path: Path) -> None:
    """Cut a file in half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_checksum(path: Path) -> None:
    """Flip a bit of the gzip checksum."""
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)


def cut_unpacked(path: Path) -> None:
    """Replace the file by an unpacked one that lacks its end."""
    path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes())[:-9])
    path.unlink()


def with_value(value: float, dtype: type = np.float32) -> Callable[[Path], None]:
    """Make the damage that puts `value` into two voxels."""

    def damage(path: Path) -> None:
        array: Array = np.asarray(nibabel.load(path).dataobj).astype(dtype)
        array[0, 0, :2] = value
        save(path, array)

    return damage


def with_affine(change: float) -> Callable[[Path], None]:
    """Make the damage that moves a file by `change` mm."""

    def damage(path: Path) -> None:
        moved = AFFINE.copy()
        moved[2, 3] += change
        save(path, np.asarray(nibabel.load(path).dataobj), moved)

    return damage


DAMAGES: list[tuple[str, Callable[[Path], object], str]] = [
    ("flair", truncate, "B/B_flair.nii.gz: the gzip stream is whole"),
    ("seg", flip_checksum, "B/B_seg.nii.gz: the gzip stream is whole"),
    ("t1", cut_unpacked, "B/B_t1.nii: is as long as its header claims"),
    ("t1", with_value(np.nan), "B/B_t1.nii.gz: all voxels are finite 32-bit numbers, got 2 of 336 NaN or infinite"),
    ("t1", lambda path: save(path, voxels().astype(np.complex64)), "B/B_t1.nii.gz: voxels are single real numbers"),
    ("t1", lambda path: save(path, np.full((8, 7, 6), 3.5)), "B/B_t1.nii.gz: voxels differ from each other, got 3.5"),
    ("t1", lambda path: save(path, np.stack([voxels()] * 2, 3)), "B/B_t1.nii.gz: holds 1 volume(s), got 2"),
    ("t1", Path.unlink, "B: has a file for each of the channels flair, t1, got none for t1"),
    ("seg", Path.unlink, "B: has a mask, got an image without mask"),
    ("seg", with_value(0.5), "B/B_seg.nii.gz: a mask holds whole numbers from 0 to 255, got 0.5 (2 voxels)"),
    ("seg", with_value(7, np.uint8), "B/B_seg.nii.gz: a mask holds only 0, 1, 2, got 7 in 2 voxels"),
    ("seg", with_value(-1, np.int16), "B/B_seg.nii.gz: a mask holds whole numbers from 0 to 255, got -1"),
    ("seg", with_affine(1.0), "B/B_seg.nii.gz: the mask lies on the grid of the first channel"),
    ("seg", lambda path: save(path, labels()[:-1]), "B/B_seg.nii.gz: the mask lies on the grid of the first channel"),
    ("t1", with_affine(500.0), "B/B_t1.nii.gz: all channels show the same part of space"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "damage", "message"), DAMAGES)
def test_a_damaged_case_is_listed_with_its_reason(
    tmp_path: Path, name: str, damage: Callable[[Path], object], message: str
) -> None:
    root = made(tmp_path / "data", "A", "B", "C")
    damage(root / "B" / f"B_{name}.nii.gz")
    records = indexed(root, tmp_path / "out")
    assert [case for case, record in records.items() if record.refused is None] == ["A", "C"]
    reason = records["B"].refused
    assert reason is not None
    assert f"{reason.subject}: {reason.rule}, got {reason.value}; {reason.remedy}".startswith(message)
    assert reason.remedy
    assert str(tmp_path) not in records["B"].model_dump_json()


def test_masks_that_no_label_can_be_read_from_are_refused_one_by_one(tmp_path: Path) -> None:
    root = made(tmp_path / "data", "A", "B")
    for case in ("A", "B"):
        save(root / case / f"{case}_seg.nii.gz", labels() * np.float32(0.3))
    reasons = [record.refused for record in indexed(root, tmp_path / "out", DataSettings()).values()]
    assert [reason and reason.rule for reason in reasons] == ["a mask holds whole numbers from 0 to 255"] * 2


def test_masks_that_are_all_empty_are_taken_and_said_to_be_so(tmp_path: Path) -> None:
    root = made(tmp_path / "data", "A", "B")
    for case in ("A", "B"):
        save(root / case / f"{case}_seg.nii.gz", np.zeros((8, 7, 6), np.uint8))
    records = indexed(root, tmp_path / "out", DataSettings())
    assert [record.refused for record in records.values()] == [None, None]
    findings = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert ("some scan holds the region label_1", "warn") in [(one["rule"], one["severity"]) for one in findings]


def test_a_grid_refusal_names_both_files(tmp_path: Path) -> None:
    root = made(tmp_path / "data", "A", "B")
    save(root / "B/B_seg.nii.gz", labels()[:-1])
    reason = indexed(root, tmp_path / "out")["B"].refused
    assert reason is not None
    assert reason.subject == "B/B_seg.nii.gz"
    assert reason.value == "shape (7, 7, 6) for (8, 7, 6) of B/B_flair.nii.gz"


def test_a_file_in_two_parts_is_refused(tmp_path: Path) -> None:
    root = made(tmp_path / "data", "A")
    settings = SETTINGS.model_copy(update={"channels": {"one": "A_t1", "other": "*t1"}, "mask": "A_seg"})
    reason = indexed(root, tmp_path / "out", settings)["A"].refused
    assert reason is not None
    assert (reason.rule, reason.value) == ("every channel and the mask has a file of its own", "A/A_t1.nii.gz")


@pytest.mark.parametrize("axes", [(2, 0, 1), (1, 0, 2), (0, 2, 1)])
@pytest.mark.parametrize("flipped", [(0,), (1, 2)])
def test_the_same_grid_in_another_storage_order_is_accepted(
    tmp_path: Path, axes: tuple[int, ...], flipped: tuple[int, ...]
) -> None:
    root = made(tmp_path / "data", "A")
    image = nibabel.Nifti1Image(labels(), AFFINE)
    orientation = np.array([[axis, -1 if axis in flipped else 1] for axis in axes])
    image.as_reoriented(orientation).to_filename(root / "A/A_seg.nii.gz")
    assert nibabel.load(root / "A/A_seg.nii.gz").shape != labels().shape
    record = indexed(root, tmp_path / "out")["A"]
    assert record.refused is None
    assert record.labels == {"1": 6, "2": 12}


def test_channels_may_lie_on_other_grids_that_overlap(tmp_path: Path) -> None:
    root = made(tmp_path / "data", "A")
    coarse = AFFINE @ np.diag([2.0, 2, 2, 1])
    save(root / "A/A_t1.nii.gz", voxels()[::2, ::2, ::2], coarse)
    record = indexed(root, tmp_path / "out")["A"]
    assert record.refused is None
    assert record.shape == (8, 7, 6)


def test_rounding_of_a_header_is_no_other_grid(tmp_path: Path) -> None:
    root = made(tmp_path / "data", "A")
    save(root / "A/A_seg.nii.gz", labels(), AFFINE + 1e-5)
    assert indexed(root, tmp_path / "out")["A"].refused is None


def test_the_volumes_of_a_4d_file_are_channels(tmp_path: Path) -> None:
    root = tmp_path / "data"
    save(root / "imagesTr/x.nii.gz", np.stack([voxels(1), voxels(2)], 3))
    save(root / "imagesTr/y.nii.gz", np.stack([voxels(1)] * 3, 3))
    for case in "xy":
        save(root / f"labelsTr/{case}.nii.gz", labels())
    training = [{"image": f"imagesTr/{case}.nii.gz", "label": f"labelsTr/{case}.nii.gz"} for case in "xy"]
    description = {"training": training, "modality": {"0": "T1", "1": "T2"}, "labels": {"1": "Core", "2": "Rim"}}
    (root / "dataset.json").write_text(json.dumps(description))
    records = indexed(root, tmp_path / "out", DataSettings())
    assert [file.component for file in records["x"].channels.values()] == [0, 1]
    assert records["x"].tumour_voxels == 18
    assert records["y"].refused is not None
    assert (records["y"].refused.rule, records["y"].refused.value) == ("holds 2 volume(s)", "3")


def test_a_missing_or_empty_root_is_a_wrong_setting(tmp_path: Path) -> None:
    for root in (tmp_path / "none", tmp_path):
        with pytest.raises(Refusal, match=r"^data\.root: ") as caught:
            run(IndexSettings(data=SETTINGS), {"data": root}, tmp_path, Machine(store=str(tmp_path / "store")))
        assert caught.value.exit_code == 2


def test_the_same_data_elsewhere_gives_the_same_bytes(tmp_path: Path) -> None:
    root = made(tmp_path / "data", *"ABCDEF")
    truncate(root / "C/C_t1.nii.gz")
    shutil.copytree(root, tmp_path / "copy" / "deeper")
    indexed(root, tmp_path / "one")
    (tmp_path / "two" / "cases").mkdir(parents=True)
    (tmp_path / "two" / "cases" / "C.json").write_text("from an earlier draft")
    indexed(tmp_path / "copy" / "deeper", tmp_path / "two")
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.json*"))
    assert len(files) == 9
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_the_settings_of_the_stage_have_no_root() -> None:
    with pytest.raises(ValidationError, match="the index is given its root as an input"):
        IndexSettings(data=DataSettings(root="somewhere"))


def test_progress_is_told_case_by_case(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = made(tmp_path / "data", "A", "B")
    with caplog.at_level(logging.INFO, "medseg.progress"):
        indexed(root, tmp_path / "out")
    news = [vars(record)["progress"] for record in caplog.records if record.name == "medseg.progress"]
    assert [(item.task, item.done, item.total) for item in news] == [("index", 1, 2), ("index", 2, 2)]


@pytest.mark.skipif(not (DATA / "Task04_Hippocampus").is_dir(), reason="needs ../shared/data/Task04_Hippocampus")
def test_all_hippocampus_cases_are_accepted(tmp_path: Path) -> None:
    records = indexed(DATA / "Task04_Hippocampus", tmp_path, DataSettings())
    assert len(records) == 150
    assert [record.refused for record in records.values() if record.refused] == []
    assert all(set(record.labels) == {"1", "2"} for record in records.values())


@pytest.mark.skipif(not (DATA / "sarcoma").is_dir(), reason="needs ../shared/data/sarcoma")
def test_all_sarcoma_cases_are_accepted(tmp_path: Path) -> None:
    channels = {"PET": "PET_image", "CT": "CT_image"}
    settings = DataSettings(channels=channels, mask="PET_mask", labels={"tumour": 1})
    records = indexed(DATA / "sarcoma", tmp_path, settings)
    assert len(records) == 34
    assert [record.refused for record in records.values() if record.refused] == []
    assert all(record.tumour_voxels > 0 for record in records.values())


def test_labels_are_taken_from_the_masks_where_nobody_names_them(tmp_path: Path) -> None:
    root = tmp_path / "data"
    rng = np.random.default_rng(0)
    for number, present in ((1, (0, 1)), (2, (0, 4))):
        mask = rng.choice(np.asarray(present, np.uint8), (6, 7, 8))
        write_image(root / f"images/case_{number}.nii.gz", Volume(rng.random((1, 6, 7, 8), np.float32), np.eye(4)))
        write_mask(root / f"labels/case_{number}.nii.gz", Volume(mask[None], np.eye(4)))
    (tmp_path / "out").mkdir()
    run(IndexSettings(data=DataSettings()), {"data": root}, tmp_path / "out", Machine(store=str(tmp_path / "store")))
    scheme = json.loads((tmp_path / "out" / "scheme.json").read_text())
    assert scheme["labels"] == {"label_1": 1, "label_4": 4}
    assert scheme["regions"]["foreground"] == [1, 4]
    assert scheme["tumour"] == "foreground"


def test_every_file_of_a_case_is_looked_at_even_if_one_is_bad(tmp_path: Path) -> None:
    root = made(tmp_path / "data", "A", "B")
    (root / "B/B_flair.nii.gz").write_bytes(b"no scan")
    save(root / "B/B_t1.nii.gz", np.full((8, 7, 6), 3.5))
    save(root / "B/B_seg.nii.gz", labels().astype(np.complex64))
    found = indexed(root, tmp_path / "out")["B"].findings
    assert [(one.severity, one.file) for one in found] == [
        ("refuse", "B/B_flair.nii.gz"), ("refuse", "B/B_seg.nii.gz"), ("refuse", "B/B_t1.nii.gz"),
    ]  # fmt: skip


def test_what_was_seen_is_written_for_every_readable_case(tmp_path: Path) -> None:
    root = made(tmp_path / "data", "A", "B", "C")
    truncate(root / "B/B_flair.nii.gz")
    (root / "B/B_t1.nii.gz").unlink()
    indexed(root, tmp_path / "out")
    sights = list(read_sights(tmp_path / "out" / "sights.jsonl"))
    assert [one.case for one in sights] == ["A", "C"]
    sight = sights[0]
    voxel_ml = abs(np.linalg.det(AFFINE[:3, :3])) / 1000
    assert list(sight.channels) == list(sight.miniatures) == ["flair", "t1"]
    assert sight.channels["flair"].percentiles[0] == pytest.approx(float(voxels(0).min()))
    assert sight.label_ml == pytest.approx({"core": 6 * voxel_ml, "rim": 12 * voxel_ml})
    assert (sight.lesion_count, sight.lesions_ml) == (1, pytest.approx((18 * voxel_ml,)))
    assert Image.open(io.BytesIO(base64.b64decode(sight.picture))).format == "WEBP"
    dataset = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert all({"severity", "rule", "value", "remedy"} <= set(finding) for finding in dataset)


def test_a_second_look_remembers_all_but_what_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = made(tmp_path / "data", "A", "B", "C")
    before = indexed(root, tmp_path / "out")
    looked: list[str] = []
    real = looking.examine
    monkeypatch.setattr(looking, "examine", lambda case, *rest: looked.append(case.case) or real(case, *rest))
    again = indexed(root, tmp_path / "again")
    assert (looked, again) == ([], before)
    save(root / "B/B_t1.nii.gz", voxels(77))
    assert indexed(root, tmp_path / "third").keys() == before.keys()
    assert looked == ["B"]
    indexed(root, tmp_path / "fourth", SETTINGS.model_copy(update={"repair": ("round_mask",)}))
    assert looked == ["B", "A", "B", "C"]
    truncate(root / "C/C_t1.nii.gz")
    assert indexed(root, tmp_path / "fifth")["C"].refused == indexed(root, tmp_path / "sixth")["C"].refused
    assert looked[4:] == ["C", "C"]
    for name in ("cases.json", "sights.jsonl", "dataset.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
