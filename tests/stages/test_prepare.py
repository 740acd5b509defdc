"""Prepare: geometry survives the whole way and back, nothing is resampled without need, refusals name their reason."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import ndimage
from scipy.spatial.transform import Rotation

from medseg.files.nifti.writing import write_image, write_mask
from medseg.files.prepared import read_prepared
from medseg.files.records import CaseRecord, FileRecord, SchemeRecord, write_record
from medseg.ops.body import BodySettings
from medseg.ops.intensity import ChannelNormalisation
from medseg.ops.orientation import to_canonical
from medseg.ops.placement import prepared_affine, read_placement, restore_mask, restore_scores, stored_grid
from medseg.ops.preparing import Preparation, Prepared, PrepareSettings, prepare_case, resampled_shape
from medseg.ops.resampling import Shape
from medseg.stages.cases import load_channels, load_mask
from medseg.stages.channels import normalisation_kinds
from medseg.stages.prepare import (
    as_record,
    class_indices,
    draw_seeds,
    foreground_intensities,
    run,
)
from medseg.values.error import Refusal
from medseg.values.labels import LabelScheme
from medseg.values.machine import Machine
from medseg.values.volume import FloatArray, Volume

MACHINE = Machine.model_validate({})
SCHEME = SchemeRecord(labels={"oedema": 2, "core": 5}, regions={"tumour": (2, 5)}, tumour="tumour")
LANDMARK_MM = np.array([3.0, -4.0, 6.0])
NONZERO = PrepareSettings(body=BodySettings(kind="nonzero"))
TURNS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]


def stored_affine(order: tuple[int, ...], signs: tuple[int, ...], degrees: float, shape: Shape) -> FloatArray:
    """Make an oblique grid in any axis order whose middle voxel lies near the world's origin."""
    turn = np.zeros((3, 3))
    for world, (stored, sign) in enumerate(zip(order, signs, strict=True)):
        turn[world, stored] = sign
    tilt = Rotation.from_euler("xyz", (degrees, -degrees / 2, degrees), degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = tilt @ turn * (1.0, 1.2, 2.0)
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) - 1) / 2 + (1.0, 2.0, -1.5)
    return affine


def scan(affine: FloatArray, shape: Shape) -> Volume:
    """Make a ball of tissue around the origin with one bright landmark."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    world = index @ affine[:3, :3].T + affine[:3, 3]
    ball = 100.0 * ((world**2).sum(axis=-1) < 15**2)
    landmark = 900 * np.exp(-((world - LANDMARK_MM) ** 2).sum(axis=-1) / (2 * 2.0**2))
    return Volume((ball + landmark * (landmark > 1)).astype(np.float32)[None], affine)


def mask_of(image: Volume) -> Volume:
    core = (image.voxels > 500).astype(np.uint8) * 5
    return Volume(np.where((image.voxels > 120) & (core == 0), np.uint8(2), core), image.affine)


def preparation(*spacing_mm: float, names: tuple[str, ...] = ("T1",)) -> Preparation:
    x, y, z = spacing_mm
    return Preparation(spacing_mm=(x, y, z), normalisations=dict.fromkeys(names, ChannelNormalisation(kind="zscore")))


def landmark_in(channel: FloatArray, affine: FloatArray) -> FloatArray:
    low, high = np.percentile(channel, 50), channel.max()
    bright = np.where(channel > (low + high) / 2, channel, 0)
    position: FloatArray = (affine @ (*ndimage.center_of_mass(bright), 1))[:3]
    return position


def file(path: str) -> FileRecord:
    return FileRecord(path=path, sha256="0" * 64)


def store_case(root: Path, channels: dict[str, Volume], mask: Volume) -> CaseRecord:
    for name, volume in channels.items():
        write_image(root / f"{name}.nii.gz", volume)
    write_mask(root / "mask.nii.gz", mask)
    grid = stored_grid(next(iter(channels.values())))
    return CaseRecord(
        case="p01",
        subject="p01",
        channels={name: file(f"{name}.nii.gz") for name in channels},
        mask=file("mask.nii.gz"),
        shape=grid.shape,
        affine=grid.affine,
    )


def stage_inputs(root: Path, record: CaseRecord, plan: Preparation) -> dict[str, Path]:
    write_record(root / "in" / "case.json", record)
    write_record(root / "in" / "scheme.json", SCHEME)
    write_record(root / "in" / "preparation.json", plan)
    names = {"case": "case.json", "scheme": "scheme.json", "preparation": "preparation.json"}
    return {"data": root, **{name: root / "in" / path for name, path in names.items()}}


@pytest.mark.parametrize(("order", "signs"), TURNS[::5])
def test_a_landmark_keeps_its_world_position_there_and_back(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    shape = (44, 40, 26)
    stored = scan(stored_affine(order, signs, 12.0, shape), shape)
    before = stored.voxels.copy()
    image = to_canonical(stored)
    prepared = prepare_case(image, None, stored_grid(stored), preparation(1.3, 1.3, 1.3), NONZERO)
    assert prepared.classes is None
    assert prepared.image.shape[1:] == prepared.placement.prepared_shape
    assert np.prod(prepared.placement.cropped_shape) < 0.7 * np.prod(shape)
    found = landmark_in(prepared.image[0], prepared_affine(prepared.placement))
    assert np.linalg.norm(found - LANDMARK_MM) < 0.5 * 1.3

    scores = np.stack(
        [prepared.image[0].max() / 2 - prepared.image[0], prepared.image[0] - prepared.image[0].max() / 2]
    )
    labels = restore_scores(scores, prepared.placement).argmax(axis=0).astype(np.uint8)
    mask = restore_mask(labels, prepared.placement)
    assert mask.shape == shape
    assert np.array_equal(mask.affine, stored.affine)
    centre = (mask.affine @ (*ndimage.center_of_mass(mask.voxels[0]), 1))[:3]
    assert np.linalg.norm(centre - LANDMARK_MM) < 0.5
    assert np.array_equal(stored.voxels, before)


def test_a_label_map_without_resampling_comes_back_exactly(tmp_path: Path) -> None:
    stored = scan(stored_affine((2, 0, 1), (-1, 1, -1), 9.0, (40, 38, 30)), (40, 38, 30))
    mask = mask_of(stored)
    record = store_case(tmp_path, {"T1": stored}, mask)
    spacing = to_canonical(stored).spacing_mm
    plan = preparation(*(edge * 1.015 for edge in spacing))
    run(NONZERO, stage_inputs(tmp_path, record, plan), tmp_path / "out", MACHINE)
    prepared = read_prepared(tmp_path / "out")
    placement = read_placement(prepared.placement)
    assert placement.prepared_shape == placement.cropped_shape == prepared.classes.shape
    assert prepared.spacing_mm == pytest.approx(spacing, abs=1e-4)
    labels = LabelScheme(SCHEME.labels, SCHEME.regions, SCHEME.tumour).to_labels(prepared.classes)
    back = restore_mask(labels, placement)
    assert np.array_equal(back.voxels, mask.voxels)
    assert np.allclose(back.affine, stored.affine, atol=1e-4)


def test_run_writes_what_the_settings_say(tmp_path: Path) -> None:
    stored = scan(stored_affine((0, 1, 2), (-1, -1, 1), 0.0, (40, 38, 24)), (40, 38, 24))
    record = store_case(tmp_path, {"T1": stored}, mask_of(stored))
    inputs = stage_inputs(tmp_path, record, preparation(2.0, 2.0, 2.0))
    run(NONZERO, inputs, tmp_path / "out", MACHINE)
    run(NONZERO, inputs, tmp_path / "again", MACHINE)
    for path in (tmp_path / "out").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    prepared = read_prepared(tmp_path / "out")
    assert prepared.case == "p01"
    assert prepared.image.dtype == np.float32
    assert set(np.unique(prepared.classes)) == {0, 1, 2}
    assert prepared.spacing_mm == pytest.approx((2.0, 2.0, 2.0), rel=0.05)
    lesions, _ = ndimage.label(prepared.classes > 0, np.ones((3, 3, 3)))
    for index, places in prepared.seeds.items():
        assert np.array_equal(places, np.argwhere(prepared.classes == index))
        assert np.array_equal(prepared.lesions[index], lesions[tuple(places.T)])
        assert prepared.voxels[index] == len(places)


def test_normalisation_sees_the_body_only() -> None:
    stored = scan(stored_affine((0, 1, 2), (1, 1, 1), 0.0, (40, 38, 24)), (40, 38, 24))
    prepared = prepare_case(stored, None, stored_grid(stored), preparation(1.0, 1.2, 2.0), NONZERO)
    box = tuple(slice(*pair) for pair in zip(prepared.placement.crop_start, prepared.placement.crop_stop, strict=True))
    body = stored.voxels[0][box] != 0
    assert prepared.image[0][body].mean() == pytest.approx(0, abs=1e-4)
    assert prepared.image[0][body].std() == pytest.approx(1, abs=1e-4)


def test_crop_and_resample_can_be_switched_off() -> None:
    stored = scan(stored_affine((0, 1, 2), (1, 1, 1), 0.0, (40, 38, 24)), (40, 38, 24))
    plain = PrepareSettings(crop=False, resample=False)
    classes = class_indices("p01", mask_of(stored).voxels[0], LabelScheme({"a": 2, "b": 5}, {"a": (2,)}, "a"))
    prepared = prepare_case(stored, classes, stored_grid(stored), preparation(3.0, 3.0, 3.0), plain)
    assert prepared.classes is not None
    assert np.array_equal(prepared.classes, classes)
    assert prepared.placement.spacing_mm == pytest.approx((1.0, 1.2, 2.0))


def test_a_crop_that_loses_the_tumour_is_refused() -> None:
    stored = scan(stored_affine((0, 1, 2), (1, 1, 1), 0.0, (40, 38, 24)), (40, 38, 24))
    classes = np.zeros(stored.shape, np.uint8)
    classes[0, 0, :2] = 1
    hot = PrepareSettings(body=BodySettings(kind="threshold", above=500.0))
    with pytest.raises(
        Refusal, match=r"body: the crop keeps 99 % of the foreground, got 0 of 2 voxels; choose another"
    ):
        prepare_case(stored, classes, stored_grid(stored), preparation(1.0, 1.2, 2.0), hot)
    prepared = prepare_case(stored, None, stored_grid(stored), preparation(1.0, 1.2, 2.0), hot)
    assert np.prod(prepared.placement.cropped_shape) < 0.1 * classes.size


def test_n4_runs_before_normalisation() -> None:
    stored = scan(stored_affine((0, 1, 2), (1, 1, 1), 0.0, (40, 38, 24)), (40, 38, 24))
    ramp = np.exp(np.linspace(-0.5, 0.5, 40, dtype=np.float32)).reshape(1, 40, 1, 1)
    tilted = Volume(stored.voxels * ramp, stored.affine)
    settings = PrepareSettings(body=BodySettings(kind="nonzero"), n4=True)
    flat, steep = (
        prepare_case(tilted, None, stored_grid(stored), preparation(1.0, 1.2, 2.0), chosen).image[0]
        for chosen in (settings, NONZERO)
    )
    plain = prepare_case(stored, None, stored_grid(stored), preparation(1.0, 1.2, 2.0), NONZERO).image[0]
    tissue = (plain < 0.1) & (steep > steep.min())
    assert flat[tissue].std() < 0.5 * steep[tissue].std()


def test_prepared_shapes() -> None:
    assert resampled_shape((100, 100, 30), (1.0, 1.0, 3.0), (1.01, 0.5, 1.5)) == (100, 200, 60)
    assert resampled_shape((3, 1, 2), (1.0, 1.0, 1.0), (9.0, 9.0, 9.0)) == (1, 1, 1)


def test_channels_on_other_grids_come_to_the_first(tmp_path: Path) -> None:
    shape, other = (40, 38, 24), (30, 50, 44)
    first = scan(stored_affine((0, 1, 2), (-1, 1, 1), 8.0, shape), shape)
    second = scan(stored_affine((1, 2, 0), (1, -1, 1), -5.0, other), other)
    nudged = Volume(first.voxels * 2, first.affine + 1e-5 * np.eye(4, k=3))
    record = store_case(tmp_path, {"T1": first, "CT": second, "T2": nudged}, mask_of(first))
    image = load_channels(record, tmp_path)
    assert image.voxels.dtype == np.float32
    assert image.voxels.flags.c_contiguous
    assert np.array_equal(image.voxels[0], to_canonical(first).voxels[0])
    assert np.array_equal(image.voxels[2], 2 * image.voxels[0])
    for channel in image.voxels:
        assert np.linalg.norm(landmark_in(channel, image.affine) - LANDMARK_MM) < 0.5
    mask = load_mask(record, tmp_path)
    assert np.allclose(mask.affine, image.affine, atol=1e-5)
    assert np.array_equal(mask.voxels, mask_of(image).voxels[:1])


def test_a_mask_stored_in_another_axis_order_is_the_same_mask(tmp_path: Path) -> None:
    shape = (40, 38, 24)
    first = scan(stored_affine((1, 0, 2), (-1, 1, -1), 0.0, shape), shape)
    turned = to_canonical(mask_of(first))
    record = store_case(tmp_path, {"T1": first}, Volume(np.ascontiguousarray(turned.voxels), turned.affine))
    assert np.array_equal(load_mask(record, tmp_path).voxels, turned.voxels)


def test_seeds_are_drawn_by_case_and_class() -> None:
    classes = np.zeros((40, 40, 40), np.uint8)
    classes[:30] = 3
    classes[35, 1, 2] = 1
    seeds = draw_seeds("a", classes, 0)
    assert sorted(seeds) == [1, 3]
    assert seeds[1].tolist() == [[35, 1, 2]]
    assert seeds[3].shape == (10_000, 3)
    assert seeds[3].dtype == np.int32
    assert len(np.unique(seeds[3], axis=0)) == 10_000
    assert np.all(classes[tuple(seeds[3].T)] == 3)
    assert np.array_equal(seeds[3], draw_seeds("a", classes, 0)[3])
    for other in (draw_seeds("b", classes, 0), draw_seeds("a", classes, 1)):
        assert not np.array_equal(seeds[3], other[3])
    assert draw_seeds("a", np.zeros((3, 3, 3), np.uint8), 0) == {}


def test_foreground_intensities_are_those_under_the_mask() -> None:
    stored = scan(stored_affine((0, 1, 2), (1, 1, 1), 0.0, (40, 38, 24)), (40, 38, 24))
    drawn = foreground_intensities("p01", stored, mask_of(stored), PrepareSettings())
    assert np.array_equal(drawn, stored.voxels[:, stored.voxels[0] > 120])


def test_kinds_of_normalisation() -> None:
    assert normalisation_kinds(["PET", "CT"], "none") == {"PET": "none", "CT": "none"}
    chosen = PrepareSettings(normalise={"CT": "ct", "PET": "log_zscore"}).normalise
    assert list(normalisation_kinds(["PET", "CT"], chosen).items()) == [("PET", "log_zscore"), ("CT", "ct")]
    with pytest.raises(Refusal, match=r"prepare.normalise.MR: one kind for each channel of \['PET', 'MR'\]") as refused:
        normalisation_kinds(["PET", "MR"], {"PET": "zscore"})
    assert refused.value.exit_code == 2
    with pytest.raises(ValidationError):
        PrepareSettings.model_validate({"normalise": "zscores"})


def test_refusals(tmp_path: Path) -> None:
    stored = scan(stored_affine((0, 1, 2), (1, 1, 1), 0.0, (40, 38, 24)), (40, 38, 24))
    record = store_case(tmp_path, {"T1": stored}, mask_of(stored))
    other = stage_inputs(tmp_path, record, preparation(1.0, 1.0, 1.0, names=("T2",)))
    with pytest.raises(Refusal, match=r"p01: the channels are \['T2'\] in this order, got \['T1'\]"):
        run(NONZERO, other, tmp_path / "out", MACHINE)
    inputs = stage_inputs(tmp_path, record, preparation(1.0, 1.0, 1.0))
    empty = PrepareSettings(body=BodySettings(kind="threshold", above=5000.0))
    with pytest.raises(Refusal, match="p01 body: at least one voxel is body, got threshold"):
        run(empty, inputs, tmp_path / "out", MACHINE)
    with pytest.raises(Refusal, match="p01: the case has a mask, got none"):
        load_mask(record.model_copy(update={"mask": None}), tmp_path)
    with pytest.raises(Refusal, match="p01: a case has at least one channel, got none"):
        load_channels(record.model_copy(update={"channels": {}}), tmp_path)
    moved = Volume(mask_of(stored).voxels, stored.affine + np.eye(4, k=3))
    with pytest.raises(Refusal, match=r"the mask lies on the grid of the first channel .*, got corners 1 voxels away"):
        load_mask(store_case(tmp_path, {"T1": stored}, moved), tmp_path)
    with pytest.raises(Refusal, match=r"p01: labels of the mask are among \(0, 2, 5\), got \[7\]"):
        class_indices("p01", np.full((2, 2, 2), 7, np.uint8), LabelScheme(SCHEME.labels, SCHEME.regions, "tumour"))
    prepared = prepare_case(stored, None, stored_grid(stored), preparation(1.0, 1.2, 2.0), NONZERO)
    with pytest.raises(Refusal, match="p01: a prepared case has a mask, got none"):
        as_record("p01", Prepared(prepared.image, None, prepared.placement), 0)
