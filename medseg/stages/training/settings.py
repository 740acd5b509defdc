"""Settings of the train stage: every group that can change the weights."""

from __future__ import annotations

from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.sampling.settings import AugmentSettings, PatchSettings
from medseg.engines.training.settings import TrainingSettings
from medseg.networks.settings import NetworkSettings
from medseg.ops.loss_settings import LossSettings
from medseg.ops.preparing import PrepareSettings
from medseg.values.settings import Settings


class TrainStageSettings(Settings):
    """Settings of the stage: every group that can change the weights."""

    seed: int
    network: NetworkSettings
    loss: LossSettings
    patches: PatchSettings
    augment: AugmentSettings
    training: TrainingSettings
    inference: InferenceSettings
    prepare: PrepareSettings
