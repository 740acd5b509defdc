"""What is kept of a training that has left the finite numbers: the batch of that step, drawn again."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from medseg.engines.training.keeping.failure import Diverged
from medseg.engines.training.keeping.journal import plain
from medseg.files.tensors import write_whole
from medseg.stages.training.material import Material
from medseg.stages.training.settings import TrainStageSettings
from medseg.stages.training.showing import write_batch
from medseg.values.error import Refusal


def keep_failure(
    failed: Diverged, settings: TrainStageSettings, material: Material, out: Path, device: torch.device
) -> Refusal:
    """Write failure/step-N.png, .json (the drawn table) and .safetensors (images and classes) of the step that failed.

    failure.json holds its loss or what else was found, learning rate and gradient norm (numbers that are not finite as
    text). A batch belongs to seed and step, so nothing of it had to be kept. Returns the refusal, which names the
    picture.
    """
    try:
        return failed.with_picture(_keep(failed, settings, material, out / "failure", device))
    except OSError:  # no room, say: what failed first is what has to be told
        return failed


def _keep(
    failed: Diverged, settings: TrainStageSettings, material: Material, folder: Path, device: torch.device
) -> Path:
    name = f"step-{failed.step}"
    folder.mkdir(exist_ok=True)
    numbers = {"found": failed.found, "learning_rate": failed.rate, "gradient_norm": failed.norm}
    record = {"step": failed.step, "rule": failed.rule, **{key: plain(value) for key, value in numbers.items()}}
    write_whole(folder / "failure.json", (json.dumps(record, indent=1) + "\n").encode())
    sampler = material.sampler(settings.seed, settings.patches, settings.augment)
    write_batch(folder, name, failed.step, material, sampler, device)
    return folder / f"{name}.png"
