"""Prepare and fingerprint where channels are missing and voxels or labels were not annotated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medseg.engines.sampling.settings import PatchSettings
from medseg.files.nifti.writing import write_image, write_mask
from medseg.files.prepared import read_prepared
from medseg.files.records import CaseRecord, FileRecord, SchemeRecord, write_record
from medseg.networks.settings import UNet3D
from medseg.ops.body import BodySettings, body_mask
from medseg.ops.intensity import ChannelNormalisation, Kind
from medseg.ops.loss_settings import LossSettings
from medseg.ops.placement import stored_grid
from medseg.ops.preparing import Preparation, PrepareSettings, prepare_case
from medseg.ops.resampling import resample_classes
from medseg.stages import fingerprint, prepare
from medseg.stages.fingerprint import FingerprintStage
from medseg.stages.prepare import class_indices, foreground_intensities
from medseg.values.error import Refusal
from medseg.values.labels import IGNORED
from medseg.values.machine import Machine
from medseg.values.plan import Plan
from medseg.values.volume import Array, Volume

SHAPE = (20, 18, 16)
AFFINE = np.diag([1.0, 1.0, 1.5, 1.0])
CHANNELS = ("T1", "T2", "FLAIR")
SCHEME = SchemeRecord(labels={"core": 1, "rim": 2}, regions={"core": (1,), "tumour": (1, 2)}, tumour="tumour", ignore=3)
KINDS: tuple[Kind, ...] = ("zscore", "ct", "percentile", "log_zscore", "none")


def head(seed: int = 0, channels: int = 3) -> Volume:
    """Make channels of different brightness: a block of tissue in air, brighter where `mask_of` has a label."""
    rng = np.random.default_rng(seed)
    body = np.zeros(SHAPE, bool)
    body[3:-3, 3:-3, 3:-3] = True
    level = 50.0 * np.arange(1, channels + 1)[:, None, None, None]
    voxels = np.where(body, level + rng.normal(0, 5, (channels, *SHAPE)) + 30 * (mask_of().voxels > 0), 0)
    return Volume(voxels.astype(np.float32), AFFINE)


def mask_of(ignored: bool = True) -> Volume:
    mask = np.zeros((1, *SHAPE), np.uint8)
    mask[0, 6:12, 6:12, 6:10] = 2
    mask[0, 7:10, 7:10, 7:9] = 1
    if ignored:
        mask[0, 12:15, 6:12, 6:10] = 3
    return Volume(mask, AFFINE)


def store(root: Path, case: str, image: Volume, has: tuple[str, ...] = CHANNELS, **more: Any) -> CaseRecord:
    """Write the channels that a case has, and its mask; return its record."""
    for index, name in enumerate(CHANNELS):
        if name in has:
            write_image(root / case / f"{name}.nii.gz", Volume(image.voxels[index][None], AFFINE))
    write_mask(root / case / "mask.nii.gz", mask_of())
    grid = stored_grid(image)
    return CaseRecord(
        case=case,
        subject=case,
        channels={name: FileRecord(path=f"{case}/{name}.nii.gz", sha256="0") for name in CHANNELS if name in has},
        order=CHANNELS if has != CHANNELS else (),
        mask=FileRecord(path=f"{case}/mask.nii.gz", sha256="0"),
        shape=grid.shape,
        affine=grid.affine,
        tumour_voxels=1,
        **more,
    )


def preparation(kind: Kind = "zscore", spacing_mm: tuple[float, float, float] = (1.3, 1.3, 1.3)) -> Preparation:
    how = ChannelNormalisation(kind=kind, low=0, high=300, mean=100, sd=20)
    return Preparation(spacing_mm=spacing_mm, normalisations=dict.fromkeys(CHANNELS, how))


def without(image: Volume, *missing: int) -> Volume:
    voxels = image.voxels.copy()
    voxels[list(missing)] = 0
    return Volume(voxels, image.affine)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n4", [False, True])
def test_a_missing_channel_is_zero_and_changes_nothing_in_the_others(kind: Kind, n4: bool) -> None:
    image = head()
    settings = PrepareSettings(body=BodySettings(kind="nonzero"), n4=n4)
    whole = prepare_case(image, None, stored_grid(image), preparation(kind), settings)
    lacking = prepare_case(without(image, 1), None, stored_grid(image), preparation(kind), settings, (1,))
    assert not lacking.image[1].any()
    assert lacking.placement == whole.placement
    for channel in (0, 2):
        assert np.array_equal(lacking.image[channel], whole.image[channel])


def test_a_missing_channel_is_no_part_of_the_body() -> None:
    image = head()
    filled = image.voxels.copy()
    filled[0] = 7.0
    others = body_mask(image.voxels[1:], BodySettings(kind="nonzero"))
    assert np.array_equal(body_mask(filled, BodySettings(kind="nonzero"), (0,)), others)
    assert np.array_equal(
        body_mask(filled, BodySettings(kind="otsu"), (0,)), body_mask(image.voxels[1:], BodySettings(kind="otsu"))
    )


def test_a_threshold_for_the_first_channel_is_not_used_on_another() -> None:
    chosen = BodySettings(kind="threshold", above=20.0)
    with pytest.raises(Refusal, match="body: a threshold needs the first channel, got it is missing; leave the case"):
        body_mask(head().voxels, chosen, (0,))
    assert np.array_equal(body_mask(head().voxels, chosen, (1, 2)), body_mask(head().voxels, chosen))


def test_ignored_voxels_come_through_crop_and_resampling_where_they_were() -> None:
    image = head()
    classes = class_indices("p", mask_of().voxels[0], SCHEME.scheme)
    assert np.array_equal(np.unique(classes), [0, 1, 2, IGNORED])
    settings = PrepareSettings(body=BodySettings(kind="nonzero"))
    same = prepare_case(image, classes, stored_grid(image), preparation(spacing_mm=(1.0, 1.0, 1.5)), settings)
    start, stop = same.placement.crop_start, same.placement.crop_stop
    box = tuple(slice(low, high) for low, high in zip(start, stop, strict=True))
    assert np.array_equal(same.classes, classes[box])
    coarser = prepare_case(image, classes, stored_grid(image), preparation(), settings)
    assert coarser.classes is not None
    assert np.array_equal(np.unique(coarser.classes), [0, 1, 2, IGNORED])
    renamed = np.where(classes == IGNORED, 3, classes).astype(np.uint8)
    assert np.array_equal(
        np.where(coarser.classes == IGNORED, 3, coarser.classes),
        resample_classes(renamed[box], coarser.placement.prepared_shape),
    )


def test_what_the_crop_loses_of_ignored_voxels_is_no_loss() -> None:
    image = head()
    classes = class_indices("p", mask_of().voxels[0], SCHEME.scheme)
    classes[0] = IGNORED
    settings = PrepareSettings(body=BodySettings(kind="nonzero"))
    prepared = prepare_case(image, classes, stored_grid(image), preparation(), settings)
    assert prepared.placement.crop_start[0] == 1
    classes[0] = 1
    with pytest.raises(Refusal, match="body: the crop keeps 99 % of the foreground, got 144 of 432 voxels"):
        prepare_case(image, classes, stored_grid(image), preparation(), settings)


def test_neither_seeds_nor_intensities_come_from_ignored_voxels() -> None:
    image, mask = head(), mask_of()
    drawn = foreground_intensities("p", image, mask, PrepareSettings(), SCHEME.ignore)
    inside = np.isin(mask.voxels[0], (1, 2))
    assert np.array_equal(drawn, image.voxels[:, inside])
    classes = class_indices("p", mask.voxels[0], SCHEME.scheme)
    seeds = prepare.draw_seeds("p", classes, 0)
    assert sorted(seeds) == [1, 2]
    assert all((classes[tuple(places.T)] == index).all() for index, places in seeds.items())


def prepare_stage(root: Path, record: CaseRecord) -> Path:
    (root / "in").mkdir(exist_ok=True)
    inputs = {"data": root}
    for name, value in (("case", record), ("scheme", SCHEME), ("preparation", preparation())):
        inputs[name] = root / "in" / f"{name}.json"
        write_record(inputs[name], value)
    prepare.run(PrepareSettings(), inputs, root / "out", Machine())
    return root / "out"


def test_the_prepared_folder_says_what_is_missing_and_what_was_annotated(tmp_path: Path) -> None:
    record = store(tmp_path, "p1", head(), ("T2",), annotated=("rim",))
    case = read_prepared(prepare_stage(tmp_path, record))
    assert (case.annotated, case.missing) == ((2,), (0, 2))
    assert not case.image[[0, 2]].any()
    assert case.image[1].std() > 0.5
    assert (case.classes == IGNORED).any()
    whole = read_prepared(prepare_stage(tmp_path, store(tmp_path, "p1", head())))
    assert (whole.annotated, whole.missing) == (None, ())


def test_channels_are_compared_with_those_that_are_missing(tmp_path: Path) -> None:
    record = store(tmp_path, "p1", head(), ("T2",))
    with pytest.raises(Refusal, match=r"p1: the channels are \['T1', 'T2', 'FLAIR'\] in this order, got \['T2'\]"):
        prepare_stage(tmp_path, record.model_copy(update={"order": ()}))
    with pytest.raises(Refusal, match=r"annotated: labels are among \['core', 'rim'\], got \['cyst'\]"):
        prepare_stage(tmp_path, record.model_copy(update={"annotated": ("cyst",)}))


def take_fingerprint(root: Path, records: list[CaseRecord], kind: Kind = "ct") -> Path:
    for record in records:
        write_record(root / "cases" / f"{record.case}.json", record)
    write_record(root / "scheme.json", SCHEME)
    inputs = {f"cases/{record.case}": root / "cases" / f"{record.case}.json" for record in records}
    settings = FingerprintStage(
        seed=0,
        prepare=PrepareSettings(body=BodySettings(kind="nonzero"), normalise=kind),
        patches=PatchSettings(),
        network=UNet3D(),
        loss=LossSettings(),
    )
    (root / "plan").mkdir(exist_ok=True)
    fingerprint.run(settings, {"data": root, "scheme": root / "scheme.json", **inputs}, root / "plan", Machine())
    return root / "plan"


def test_the_fingerprint_learns_a_channel_from_the_cases_that_have_it(tmp_path: Path) -> None:
    first, second = head(1), head(2)
    records = [store(tmp_path, "a", first, ("T2", "FLAIR")), store(tmp_path, "b", second, ("T1", "T2"))]
    out = take_fingerprint(tmp_path, records)
    normalisations = Preparation.model_validate_json((out / "preparation.json").read_text()).normalisations
    inside: Array = np.isin(mask_of().voxels[0], (1, 2))
    expected = {
        "T1": second.voxels[0][inside],
        "T2": np.concatenate([first.voxels[1][inside], second.voxels[1][inside]]),
        "FLAIR": first.voxels[2][inside],
    }
    assert list(normalisations) == list(CHANNELS)
    for name, values in expected.items():
        assert normalisations[name].mean == pytest.approx(float(values.astype(np.float64).mean()), rel=1e-6)
        assert normalisations[name].sd == pytest.approx(float(values.astype(np.float64).std()), rel=1e-5)
    seen = json.loads((out / "fingerprint.json").read_text())
    assert seen["cases_without_channel"] == {"T1": 1, "T2": 0, "FLAIR": 1}
    assert seen["intensity_inside_body"]["T1"]["percentiles_0.5_50_99.5"][0] > 20, "zeros of the other case stay out"
    plan = Plan.model_validate_json((out / "plan.json").read_text())
    assert (plan.channels, plan.architecture.channels, plan.architecture.outputs) == (CHANNELS, 3, 3)


def test_nothing_is_trained_that_no_training_case_shows(tmp_path: Path) -> None:
    lacking = [store(tmp_path, name, head(), ("T1", "T2")) for name in "ab"]
    with pytest.raises(
        Refusal, match="training set: at least one training scan has the channel 'FLAIR', got 2 scans without it"
    ):
        take_fingerprint(tmp_path, lacking, "zscore")
    unseen = [store(tmp_path, name, head(), annotated=("rim",)) for name in "ab"]
    with pytest.raises(
        Refusal, match="training set: the label 'core' was looked for in at least one training scan, got 2 scans where"
    ):
        take_fingerprint(tmp_path, unseen)
    take_fingerprint(tmp_path, [unseen[0], unseen[1].model_copy(update={"annotated": ("core",)})])
