"""Draw the batch that training would take at one step, and train nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from medseg.engines.device import computing
from medseg.engines.sampling.settings import AugmentSettings, PatchSettings
from medseg.stages.training.material import read_material
from medseg.stages.training.showing import write_batch
from medseg.values.machine import Machine
from medseg.values.settings import Settings


class BatchSettings(Settings):
    """The step, and all that its batch depends on."""

    step: int
    seed: int
    patches: PatchSettings
    augment: AugmentSettings


def run(settings: BatchSettings, inputs: Mapping[str, Path], out: Path, machine: Machine) -> None:
    """Read what the train stage reads; write batch.png, batch.json (the draws) and batch.safetensors (the tensors)."""
    material = read_material(inputs)
    sampler = material.sampler(settings.seed, settings.patches, settings.augment)
    with computing(machine) as device:
        write_batch(out, "batch", settings.step, material, sampler, device)
