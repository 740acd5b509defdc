"""What the report says of its making: of the stages as they were done, and nothing that only people care about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from medseg.experiment.provenance import provenance_of, settings_of
from medseg.experiment.settings import ExperimentSettings
from medseg.files.layouts.find import DataSettings
from medseg.pipeline.store import Finished
from medseg.stages.split import SplitSettings


def finished(**manifest: Any) -> Finished:
    return Finished(Path("store/train/0"), manifest)


def told(stages: dict[str, Finished], *predictions: Finished) -> dict[str, str]:
    return dict(json.loads(provenance_of(stages, predictions, [], 3)))


def test_stages_that_were_made_alike_are_told_together() -> None:
    one = finished(commit="abc", versions={"python": "3.12", "torch": "2.13"}, machine={"device": "cpu"}, platform="L")
    assert told({"train": one}, one, one) == {
        "Seed of everything": "3",
        "train, predict: commit": "abc",
        "train, predict: versions": "python 3.12, torch 2.13",
        "train, predict: done on": "cpu, L",
    }


def test_a_manifest_says_the_same_before_and_after_it_was_on_disk() -> None:
    made = {"torch": "2.13", "python": "3.12"}
    assert told({"train": finished(versions=made)}) == told({"train": finished(versions=dict(sorted(made.items())))})


def test_predictions_by_another_version_are_told_apart_whatever_their_order() -> None:
    old, new = finished(commit="abc"), finished(commit="def")
    found = told({"train": old}, old, new)
    assert found == told({"train": old}, new, old)
    assert found["train: commit"] == "abc"
    assert found["predict: commit"] == "abc; def"


def test_what_is_not_known_is_left_out() -> None:
    assert told({}) == {"Seed of everything": "3"}
    assert "train: commit" not in told({"train": finished(commit=None)})


def test_settings_are_complete_but_for_names_and_places() -> None:
    plain, named = ExperimentSettings(), ExperimentSettings(name="other", debug=True)
    assert settings_of(plain) == settings_of(named)
    found = yaml.safe_load(settings_of(plain))
    assert set(found) == set(ExperimentSettings.model_fields) - {"name", "debug"}
    assert "root" not in found["data"]
    assert settings_of(ExperimentSettings(seed=5)) != settings_of(plain)
    moved = [
        ExperimentSettings(split=SplitSettings(held_out=f"{place}/cases.csv"), data=DataSettings(root=place))
        for place in ("here", "there")
    ]
    assert settings_of(moved[0]) == settings_of(moved[1])
    assert yaml.safe_load(settings_of(moved[0]))["split"]["held_out"] == "file"
