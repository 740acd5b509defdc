"""The calibrate stage: the package keeps its weights and learns from validation cases how far to be believed."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medseg.engines.inference.frame import Frame, Room
from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.inference.stream import stream_slabs
from medseg.engines.packages.opening import open_members
from medseg.engines.packages.package import Card, load_model, read_card
from medseg.files.prepared import PreparedCase, read_prepared, write_prepared
from medseg.files.records import SchemeRecord
from medseg.ops.calibration import expected_calibration_error, fit_temperature
from medseg.ops.calibration_sample import near_foreground
from medseg.ops.postprocessing import Postprocessing
from medseg.stages.calibrate import CalibrateStage, run
from medseg.stages.calibrating.learning import Learned
from medseg.values.labels import IGNORED
from medseg.values.plan import Architecture, Plan
from medseg.values.volume import FloatArray
from tests.packages import package
from tests.stages.test_train import ONE_THREAD, balls, make_inputs, settings, train
from tests.stages.test_train_partial import hidden

SCHEME = SchemeRecord(labels={"rim": 1, "core": 4}, regions={"core": (4,), "tumour": (1, 4)}, tumour="tumour")
MADE = ("model/weights.safetensors", "model/card.json", "calibration.json")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A trained package and eight validation cases, one of them without a ball."""
    folder = tmp_path_factory.mktemp("calibrate")
    train(settings(48), make_inputs(folder, None, 12, 8), folder / "trained")
    found = {"model": folder / "trained/model"}
    for seed in (99, *range(10, 17)):
        write_prepared(folder / f"validation{seed}", balls(seed))
        found[f"validation/case{seed:02}"] = folder / f"validation{seed}"
    return found


def calibrate(inputs: dict[str, Path], out: Path, **inference: object) -> tuple[Card, Learned]:
    out.mkdir()
    given = CalibrateStage(seed=1, inference=InferenceSettings.model_validate(inference))
    run(given, inputs, out, ONE_THREAD)
    return read_card(out / "model"), Learned.model_validate_json((out / "calibration.json").read_text("utf-8"))


def test_the_package_is_whole_and_its_weights_are_the_same(tmp_path: Path, inputs: dict[str, Path]) -> None:
    card, learned = calibrate(inputs, tmp_path / "out", overlap=0.25, mirror=True)
    before = load_model(inputs["model"])[1]
    assert (tmp_path / "out" / MADE[0]).read_bytes() == (inputs["model"] / "weights.safetensors").read_bytes()
    load_model(tmp_path / "out/model")
    assert card.inference == InferenceSettings(overlap=0.25, mirror=True)
    assert card.calibration is not None
    assert card.forecast is not None
    assert card.calibration == learned.calibration
    assert card.postprocessing == learned.postprocessing.taken
    assert card.forecast == learned.forecast
    own = ("inference", "calibration", "postprocessing", "forecast")
    assert card.model_dump(exclude=set(own)) == before.model_dump(exclude=set(own))
    assert sorted(learned.cases) == sorted(name.split("/")[1] for name in inputs if name != "model")
    assert 0.25 <= card.calibration.temperature <= 8
    assert card.calibration.voxels == sum(case.voxels for case in learned.cases.values())
    assert learned.before is not None
    assert sum(learned.before.answers) == card.calibration.voxels
    tumour = learned.cases["case10"].regions["tumour"]
    assert tumour is not None
    assert tumour > 0.8
    assert learned.cases["case10"].confidence.agreement is not None


def whole_scores(model: Path, case: PreparedCase) -> FloatArray:
    cpu = torch.device("cpu")
    members, card = open_members([model], ONE_THREAD, cpu)
    frame = Frame(card.plan.patch, card.plan.plane, card.activation, card.mirror_axes)
    slabs = list(stream_slabs(members, case.image, frame, InferenceSettings(), Room(cpu, 1 << 30)))
    return torch.cat([slab.scores for slab in slabs], slabs[0].axis + 1).numpy()


def test_error_and_temperature_are_those_of_the_voxels_that_matter(tmp_path: Path, inputs: dict[str, Path]) -> None:
    card, _ = calibrate(inputs, tmp_path / "out")
    found, truth = [], []
    for name in set(inputs) - {"model"}:
        case = read_prepared(inputs[name])
        scores = whole_scores(inputs["model"], case)
        counted = near_foreground(case.classes, case.spacing_mm) | (1 - scores[0] >= 0.01)
        found.append(scores[:, counted])
        truth.append(case.classes[counted])
    joined, answers = np.concatenate(found, axis=1), np.concatenate(truth)
    assert card.calibration is not None
    assert card.calibration.voxels == len(answers)
    expected = expected_calibration_error(joined, answers, "softmax")
    assert card.calibration.ece_before == pytest.approx(expected, abs=2e-4)
    assert card.calibration.temperature == pytest.approx(fit_temperature(joined, answers, "softmax"), rel=1e-3)


def test_the_same_cases_give_the_same_bytes(tmp_path: Path, inputs: dict[str, Path]) -> None:
    calibrate(inputs, tmp_path / "one")
    calibrate(dict(reversed(inputs.items())), tmp_path / "two")
    for name in MADE:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_dice_is_that_of_the_clean_up_that_inference_will_do(tmp_path: Path, inputs: dict[str, Path]) -> None:
    nothing_left = Postprocessing(minimum_mm3={"tumour": 1e6})
    card, learned = calibrate(inputs, tmp_path / "out", postprocess=nothing_left)
    assert card.inference.postprocess == nothing_left
    assert {case.dice for name, case in learned.cases.items() if name != "case99"} == {0.0}
    assert learned.cases["case99"].dice is None
    assert learned.cases["case99"].regions == {"core": None, "tumour": None}


@pytest.mark.parametrize("hide", [False, True], ids=["none", "ignored"])
def test_without_validation_cases_the_package_goes_on_as_it_is_and_it_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, hide: bool
) -> None:
    inputs = {"model": package(tmp_path / "model")}
    if hide:
        case = balls(1)
        write_prepared(tmp_path / "case", replace(case, classes=np.full_like(case.classes, IGNORED), seeds={}))
        inputs["validation/case01"] = tmp_path / "case"
    with caplog.at_level(logging.INFO, "medseg.stages"):
        card, learned = calibrate(inputs, tmp_path / "out")
    assert [record.getMessage() for record in caplog.records] == [
        "no validation scan: the model gets no temperature, no post-processing and no forecast of its Dice"
    ]
    assert card == read_card(inputs["model"])
    assert learned == Learned()
    assert (tmp_path / "out" / MADE[0]).read_bytes() == (inputs["model"] / "weights.safetensors").read_bytes()


def test_regions_are_calibrated_where_all_their_labels_were_looked_for(tmp_path: Path) -> None:
    architecture = Architecture(
        dimensions=2, channels=1, outputs=2, features=(4, 8), strides=((1, 1), (2, 2)), kernels=((3, 3),) * 2
    )
    plan = Plan(spacing_mm=(1.0, 1.0, 1.0), patch=(8, 1, 8), batch=1, plane=1, architecture=architecture)
    found = {"model": package(tmp_path / "model", plan=plan, scheme=SCHEME, activation="sigmoid")}
    for number, annotated in ((1, None), (2, (2,)), (3, (1,))):
        write_prepared(tmp_path / str(number), hidden(balls(number), annotated))
        found[f"validation/case{number:02}"] = tmp_path / str(number)
    card, learned = calibrate(found, tmp_path / "out")
    voxels = {case: facts.voxels for case, facts in learned.cases.items()}
    assert card.calibration is not None
    assert card.calibration.cases == 2
    assert card.calibration.voxels == voxels["case01"] + voxels["case02"]
    assert learned.before is not None
    assert sum(learned.before.answers) == 2 * voxels["case01"] + voxels["case02"]
    assert {case: list(facts.regions) for case, facts in learned.cases.items()} == {
        "case01": ["core", "tumour"], "case02": ["core"], "case03": [],
    }  # fmt: skip
    assert voxels["case01"] <= (hidden(balls(1), None).classes != IGNORED).sum()
    assert (card.postprocessing, card.forecast) == (None, None)
