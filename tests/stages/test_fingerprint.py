"""The plan follows from training cases and settings, and from nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from medseg.engines.sampling.settings import PatchSettings
from medseg.files.layouts.find import DataSettings
from medseg.files.nifti.writing import write_image, write_mask
from medseg.files.records import SchemeRecord
from medseg.networks.settings import Monai, UNet2D, UNet3D
from medseg.ops.guard import Familiar
from medseg.ops.loss_settings import LossSettings
from medseg.ops.preparing import Preparation, PrepareSettings
from medseg.stages import fingerprint, index
from medseg.stages.fingerprint import FingerprintStage, make_plan
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from medseg.values.plan import Plan
from medseg.values.volume import Volume

SCHEME = SchemeRecord(labels={"core": 1, "rim": 2}, regions={"core": (1,), "tumour": (1, 2)}, tumour="tumour")


def stage(**changes: object) -> FingerprintStage:
    """Return settings of the stage with some of them changed."""
    values = {"prepare": PrepareSettings(), "patches": PatchSettings(), "network": UNet3D(), "loss": LossSettings()}
    return FingerprintStage(seed=0, **{**values, **changes})  # type: ignore[arg-type]


def plan_for(shapes: list[tuple[int, int, int]], **changes: object) -> Plan:
    """Return the plan for prepared cases of these shapes at 1 mm and two channels."""
    return make_plan(stage(**changes), shapes, (1.0, 1.0, 1.0), 2, SCHEME)


def test_classes_are_outputs_with_softmax_and_regions_with_sigmoid() -> None:
    assert plan_for([(40, 40, 40)]).architecture.outputs == 3
    assert plan_for([(40, 40, 40)], loss=LossSettings(activation="sigmoid")).architecture.outputs == 2


def test_a_2d_plan_has_slices_and_two_dimensional_strides() -> None:
    plan = plan_for([(40, 40, 20)], network=UNet2D())
    assert (plan.plane, plan.patch) == (2, (40, 40, 1))
    assert all(len(stride) == 2 for stride in plan.architecture.strides)
    assert plan_for([(40, 40, 20)], network=UNet2D(), patches=PatchSettings(plane="x")).patch[0] == 1


@pytest.mark.parametrize("name", ["DynUNet", "UNet", "AttentionUnet", "SegResNet", "SwinUNETR", "UNETR", "VNet"])
def test_a_planned_patch_suits_every_monai_network(name: str) -> None:
    plan = plan_for([(41, 52, 37)], network=Monai(name=name))  # type: ignore[arg-type]
    multiple = {"SegResNet": 8, "SwinUNETR": 32, "UNETR": 16, "VNet": 16}.get(name, 1)
    assert all(size % multiple == 0 for size in plan.patch)
    assert all(size >= median for size, median in zip(plan.patch, (41, 52, 37), strict=True))


def test_a_patch_larger_than_every_case_is_refused_unless_padding_is_allowed() -> None:
    wanted = PatchSettings(size=(64, 32, 32))
    with pytest.raises(
        Refusal, match=r"patches.size: a patch must fit in the largest training case \[48, 40, 40\], got"
    ):
        plan_for([(40, 40, 40), (48, 32, 32)], patches=wanted)
    padded = wanted.model_copy(update={"padding": True})
    assert plan_for([(40, 40, 40), (48, 32, 32)], patches=padded).patch == (64, 32, 32)


def write_data(root: Path, spacings: list[float]) -> None:
    """Write one case per spacing along z, with a tumour that is brighter by 100."""
    for number, spacing in enumerate(spacings):
        rng = np.random.default_rng(number)
        image, mask = rng.normal(50, 5, (1, 20, 18, 16)).astype(np.float32), np.zeros((1, 20, 18, 16), np.uint8)
        mask[0, 5:10, 5:10, 5:10] = 1
        image[mask > 0] += 100
        affine = np.diag([1.0, 1.0, spacing, 1.0])
        write_image(root / "images" / f"case_{number}.nii.gz", Volume(image, affine))
        write_mask(root / "labels" / f"case_{number}.nii.gz", Volume(mask, affine))


def run_stage(tmp_path: Path, cases: list[str], settings: FingerprintStage) -> Path:
    """Index the data and take the fingerprint of some of its cases."""
    for name in ("index", "out"):
        (tmp_path / name).mkdir(exist_ok=True)
    data = DataSettings(labels={"tumour": 1})
    index.run(index.IndexSettings(data=data), {"data": tmp_path / "data"}, tmp_path / "index", Machine())
    records = {f"cases/{case}": tmp_path / "index" / "cases" / f"{case}.json" for case in cases}
    inputs = {"data": tmp_path / "data", "scheme": tmp_path / "index" / "scheme.json", **records}
    fingerprint.run(settings, inputs, tmp_path / "out", Machine())
    return tmp_path / "out"


def test_the_stage_looks_at_its_cases_only(tmp_path: Path) -> None:
    write_data(tmp_path / "data", [2.0, 2.0, 2.2, 40.0])
    out = run_stage(tmp_path, ["case_0", "case_1", "case_2"], stage(prepare=PrepareSettings(normalise="ct")))
    plan = Plan.model_validate_json((out / "plan.json").read_text())
    assert plan.spacing_mm == (1.0, 1.0, 2.0)
    preparation = Preparation.model_validate_json((out / "preparation.json").read_text())
    (normalisation,) = preparation.normalisations.values()
    assert normalisation.mean == pytest.approx(150, abs=1), "the tumour's mean, the rule for CT"
    familiar = Familiar.model_validate_json((out / "familiar.json").read_text())
    assert (familiar.cases, familiar.axes) == (3, {"RAS": 3})
    assert [round(10**one.high, 3) for one in familiar.grid.spacing_mm] == [1.0, 1.0, 2.2], "the fourth is held out"
    seen = json.loads((out / "fingerprint.json").read_text())
    assert seen["cases"] == ["case_0", "case_1", "case_2"]
    assert seen["voxels_per_label"] == {"tumour": [125, 125, 125]}


def test_a_training_set_without_tumour_is_refused(tmp_path: Path) -> None:
    write_data(tmp_path / "data", [2.0, 2.0])
    healthy = np.zeros((1, 20, 18, 16), np.uint8)
    write_mask(tmp_path / "data" / "labels" / "case_0.nii.gz", Volume(healthy, np.diag([1.0, 1.0, 2.0, 1.0])))
    with pytest.raises(
        Refusal, match=r"training set: at least one training scan holds the region 'tumour', got 1 scans"
    ):
        run_stage(tmp_path, ["case_0"], stage())
