"""The settings of an experiment: one frozen tree, everything in it may change a number in the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.sampling.settings import AugmentSettings, PatchSettings
from medseg.engines.training.settings import TrainingSettings
from medseg.experiment.reading import build
from medseg.files.layouts.find import DataSettings
from medseg.networks.settings import NetworkSettings, UNet3D
from medseg.ops.loss_settings import LossSettings
from medseg.ops.phantom_settings import PhantomSettings
from medseg.ops.preparing import PrepareSettings
from medseg.ops.scoring.settings import ScoreSettings
from medseg.report.settings import ReportSettings
from medseg.stages.predict_settings import PredictSettings
from medseg.stages.split import SplitSettings
from medseg.values.machine import Machine
from medseg.values.settings import Settings


class ExperimentSettings(Settings):
    """One experiment. `name` and `debug` are for people: they are part of no stage's key."""

    name: str = Field(
        "experiment",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._=,+-]*$",
        description="folder below machine.runs",
        examples=["liver", "T1_only", "fold-2 (letters a to z, digits and . _ = , + -)"],
    )
    seed: int = Field(0, ge=0, description="every random number of the experiment follows from it")
    debug: bool = Field(False, description="show the traceback of an error")
    data: Annotated[DataSettings | PhantomSettings, Field(discriminator="kind")] = DataSettings()
    split: SplitSettings = SplitSettings()
    prepare: PrepareSettings = PrepareSettings()
    patches: PatchSettings = PatchSettings()
    augment: AugmentSettings = AugmentSettings()
    network: NetworkSettings = UNet3D()
    loss: LossSettings = LossSettings()
    training: TrainingSettings = TrainingSettings()
    inference: InferenceSettings = InferenceSettings()
    predict: PredictSettings = PredictSettings()
    score: ScoreSettings = ScoreSettings()
    report: ReportSettings = ReportSettings()


def read_settings(tree: Mapping[str, Any]) -> tuple[ExperimentSettings, Machine]:
    """Turn a tree of plain values into the two roots; refuses (exit 2) the first thing that is wrong in it.

    `tree` holds the names of ExperimentSettings and, beside them, `machine`.
    """
    rest = {name: value for name, value in tree.items() if name != "machine"}
    machine = build(Machine, tree.get("machine") or {}, "machine", {"": ExperimentSettings})
    return build(ExperimentSettings, rest, "", {"machine": Machine}), machine
