"""Predict: a mask on the scan's own grid, and how sure the network was of it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import nibabel
import numpy as np
import pytest

from medseg.engines.device import computing
from medseg.engines.inference.frame import Room
from medseg.engines.inference.maps import Wanted
from medseg.engines.inference.segmenting import segment_prepared
from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.packages.opening import open_members
from medseg.files.prepared import read_prepared, write_prepared
from medseg.files.records import SchemeRecord, write_record
from medseg.ops.confidence import Confidence
from medseg.ops.orientation import to_canonical
from medseg.ops.placement import read_placement, restore_mask, restore_values, stored_grid
from medseg.ops.preparing import PrepareSettings, prepare_case
from medseg.stages.predict import PredictStage, run
from medseg.stages.prepare import as_record
from medseg.values.machine import Machine
from medseg.values.plan import Architecture, Plan
from medseg.values.volume import Volume
from tests.packages import package, preparation

SCHEME = SchemeRecord(labels={"tumour": 7}, regions={"tumour": (7,)}, tumour="tumour")
MACHINE = Machine(device="cpu", threads=1)
AFFINE = np.array([[0, 0, 1.5, 3.0], [-1.2, 0, 0, 4.0], [0, 2.0, 0, -5.0], [0, 0, 0, 1.0]])


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    generator = np.random.default_rng(0)
    stored = Volume(generator.normal(size=(1, 9, 8, 10)).astype(np.float32), AFFINE)
    image = to_canonical(stored)
    classes = np.zeros(image.shape, np.uint8)
    classes[3:5, 3:5, 3:5] = 1
    prepared = prepare_case(image, classes, stored_grid(stored), preparation(), PrepareSettings(crop=False))
    write_prepared(tmp_path / "prepared", as_record("one", prepared, seed=0))
    write_record(tmp_path / "scheme.json", SCHEME)
    return {
        "model": package(tmp_path / "model", scheme=SCHEME, mirror_axes=(0, 1, 2)),
        "scheme": tmp_path / "scheme.json",
        "prepared": tmp_path / "prepared",
    }


def test_mask_and_confidence_are_written(inputs: dict[str, Path], tmp_path: Path) -> None:
    inference = InferenceSettings(overlap=0.25)
    for name in ("one", "again"):
        (tmp_path / name).mkdir()
        run(PredictStage(inference=inference), inputs, tmp_path / name, MACHINE)
    image = nibabel.nifti1.load(tmp_path / "one/prediction.nii.gz")
    mask = np.asarray(image.dataobj)
    assert mask.shape == (9, 8, 10)
    assert np.allclose(image.affine, AFFINE)
    assert set(np.unique(mask)) <= {0, 7}
    told = Confidence.model_validate_json((tmp_path / "one/confidence.json").read_text())
    prepared = read_prepared(inputs["prepared"])
    placement = read_placement(prepared.placement)
    with computing(MACHINE) as device:
        members, card = open_members([inputs["model"]], MACHINE, device)
        room = Room(device, 1_000_000_000)
        found = segment_prepared(members, card, prepared.image, placement, inference, room)
    assert told == found.confidence
    assert np.array_equal(mask, restore_mask(found.classes * np.uint8(7), placement).voxels[0])
    assert (mask > 0).any()
    for name in ("prediction.nii.gz", "confidence.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_the_tumours_probability_is_kept_on_request(
    inputs: dict[str, Path], tmp_path: Path, activation: Literal["softmax", "sigmoid"]
) -> None:
    scheme = SchemeRecord(labels={"a": 3, "b": 7}, regions={"core": (7,), "both": (3, 7)}, tumour="both")
    outputs = 2 if activation == "sigmoid" else 3
    strides, kernels = ((1, 1, 1), (2, 2, 2)), ((3, 3, 3), (3, 3, 3))
    architecture = Architecture(
        dimensions=3, channels=1, outputs=outputs, features=(4, 8), strides=strides, kernels=kernels
    )
    plan = Plan(spacing_mm=(1.0, 1.0, 1.0), patch=(8, 8, 8), batch=1, plane=None, architecture=architecture)
    inputs["model"] = package(tmp_path / "another", plan=plan, scheme=scheme, activation=activation)
    write_record(inputs["scheme"], scheme)
    (tmp_path / "out").mkdir()
    inference = InferenceSettings(overlap=0.25)
    run(PredictStage(inference=inference, probabilities=True), inputs, tmp_path / "out", MACHINE)
    image = nibabel.nifti1.load(tmp_path / "out/probability.nii.gz")
    found = np.asarray(image.dataobj)
    assert np.allclose(image.affine, AFFINE)
    prepared = read_prepared(inputs["prepared"])
    placement = read_placement(prepared.placement)
    with computing(MACHINE) as device:
        members, card = open_members([inputs["model"]], MACHINE, device)
        room, wanted = Room(device, 1_000_000_000), Wanted(probabilities=True)
        all_maps = segment_prepared(members, card, prepared.image, placement, inference, room, wanted).probabilities
    assert all_maps is not None
    own = all_maps[1] if activation == "sigmoid" else all_maps[1:].astype(np.float32).sum(0)
    assert found == pytest.approx(restore_values(own, placement), abs=2e-3)
    assert found.std() > 0
    mask = np.asarray(nibabel.nifti1.load(tmp_path / "out/prediction.nii.gz").dataobj)
    (tmp_path / "plain").mkdir()
    run(PredictStage(inference=inference), inputs, tmp_path / "plain", MACHINE)
    assert np.array_equal(mask, np.asarray(nibabel.nifti1.load(tmp_path / "plain/prediction.nii.gz").dataobj))
    assert not (tmp_path / "plain/probability.nii.gz").exists()
