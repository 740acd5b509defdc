"""Training on cases that were annotated in part: with classes and with regions, in 3D and in slices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medseg.engines.packages.package import load_model
from medseg.files.prepared import PreparedCase, write_prepared
from medseg.files.records import read_scheme, write_record
from medseg.ops.loss_settings import LossSettings
from medseg.values.labels import IGNORED
from medseg.values.plan import Plan
from tests.stages.test_train import balls, make_inputs, settings, train


def hidden(case: PreparedCase, annotated: tuple[int, ...] | None) -> PreparedCase:
    """Return the case with its upper third ignored, and without the labels that were not looked for."""
    classes = case.classes.copy()
    if annotated is not None:
        classes[~np.isin(classes, annotated)] = 0
    classes[:, :, 11:] = IGNORED
    seeds = {k: np.argwhere(classes == k).astype(np.int32) for k in (1, 2) if (classes == k).any()}
    return replace(case, classes=classes, seeds=seeds, annotated=annotated)


@pytest.mark.parametrize(("activation", "plane"), [("softmax", None), ("sigmoid", None), ("softmax", 2)])
def test_it_learns_from_what_was_annotated(tmp_path: Path, activation: str, plane: int | None) -> None:
    inputs = make_inputs(tmp_path, plane, 12, 8)
    write_record(inputs["scheme"], read_scheme(inputs["scheme"]).model_copy(update={"ignore": 9}))
    if activation == "sigmoid":
        plan = Plan.model_validate_json(inputs["plan"].read_text(encoding="utf-8"))
        two = plan.architecture.model_copy(update={"outputs": 2})
        write_record(inputs["plan"], plan.model_copy(update={"architecture": two}))
    for number, annotated in ((1, None), (2, (1,)), (3, (2,)), (5, None), (6, (2,))):
        role = "train" if number < 5 else "validation"
        write_prepared(inputs[f"{role}/case{number:02}"], hidden(balls(number), annotated))
    given = settings(200, plane is not None, loss=LossSettings.model_validate({"activation": activation}))
    train(given, inputs, tmp_path / "one")
    card = load_model(tmp_path / "one/model")[1]
    assert card.validation_dice is not None
    assert card.validation_dice > 0.8
    assert not card.missing_channels


def test_ignored_voxels_have_no_say(tmp_path: Path) -> None:
    """Whatever the masks would say below the ignored part, the trained weights are the same."""
    inputs = make_inputs(tmp_path)
    write_record(inputs["scheme"], read_scheme(inputs["scheme"]).model_copy(update={"ignore": 9}))
    results = []
    for name, under in (("one", 0), ("two", 2)):
        for number in (1, 2, 3):
            case = balls(number)
            below = case.classes.copy()
            below[:, :, 11:] = under
            write_prepared(inputs[f"train/case{number:02}"], hidden(replace(case, classes=below), None))
        results.append(train(settings(), inputs, tmp_path / name))
    assert results[0] == results[1]
