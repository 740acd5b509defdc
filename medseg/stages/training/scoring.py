"""The Dice of a whole validation scan, segmented as inference would do it."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import nn

from medseg.engines.inference.frame import Frame, Room
from medseg.engines.inference.layout import lay_axis
from medseg.engines.inference.windows import predict_slabs
from medseg.engines.training.validation import Examination, case_dice, validation_order
from medseg.files.prepared import PreparedCase
from medseg.stages.training.material import Material
from medseg.stages.training.pausing import Scans
from medseg.stages.training.settings import TrainStageSettings


def examination(
    network: nn.Module, settings: TrainStageSettings, material: Material, device: torch.device, memory_gb: float
) -> Examination:
    """Return what scores validation cases: `network` segments them whole, without mirroring."""
    inference = settings.inference.model_copy(update={"mirror": False})
    frame = Frame(material.plan.patch, material.plan.plane, settings.loss.activation)
    room, membership = Room(device, int(memory_gb * 1e9)), material.membership(settings)

    def score(case: PreparedCase) -> float | None:
        slabs = predict_slabs(network, case.image, frame, inference, room)
        parts = ((slab.scores.numpy(), case.classes[slab.place]) for slab in slabs)
        return case_dice(parts, membership, case.annotated)

    cases = validation_order(settings.seed, material.validation)
    windows = [window_count(case.classes.shape, frame.patch, inference.overlap) for case in cases]
    return Examination(cases, windows, score)


def scans_of(settings: TrainStageSettings, material: Material) -> Scans:
    """Return what validation is going to look at."""
    shapes = [case.classes.shape for case in validation_order(settings.seed, material.validation)]
    return Scans(shapes[: settings.training.validation_cases], settings.inference, settings.loss.activation)


def window_count(shape: Sequence[int], patch: Sequence[int], overlap: float) -> int:
    """Return how many windows of `patch` voxels cover a volume of `shape` voxels."""
    return prod(len(lay_axis(n, w, overlap, "constant").starts) for n, w in zip(shape, patch, strict=True))
