"""A batch for people and programs: its picture, what was drawn, and the tensors themselves."""

from __future__ import annotations

from pathlib import Path

import torch

from medseg.engines.sampling.drawing.replay import BatchRecord, record_of, replay
from medseg.engines.sampling.drawing.wording import describe
from medseg.engines.sampling.supplying.batches import Sampler
from medseg.files.records import write_record
from medseg.files.tensors import save_tensors, write_whole
from medseg.report.batch_picture import Look, batch_png
from medseg.stages.training.material import Material


def write_batch(folder: Path, name: str, step: int, material: Material, sampler: Sampler, device: torch.device) -> None:
    """Draw the whole batch of a step again and write NAME.json, NAME.safetensors and NAME.png into `folder`.

    The tensors are `images` and `classes`, and `annotated` where not all classes were looked for in all cases.
    """
    record = record_of(sampler, step, device)
    with torch.no_grad():
        batch = replay(record, sampler.cases, device)
    folder.mkdir(parents=True, exist_ok=True)
    write_record(folder / f"{name}.json", record)
    tensors = {key: tensor for key, tensor in batch._asdict().items() if tensor is not None}
    save_tensors(folder / f"{name}.safetensors", tensors)
    images, classes = (tensor.cpu().numpy() for tensor in (batch.images, batch.classes))
    picture = batch_png(images, classes, _titles(record, material, sampler), _look(step, material))
    write_whole(folder / f"{name}.png", picture)


def _titles(record: BatchRecord, material: Material, sampler: Sampler) -> list[str]:
    names = _classes(material)
    return [describe(draw, sampler.cases[draw.case], material.plan.channels, names) for draw in record.draws]


def _look(step: int, material: Material) -> Look:
    plan = material.plan
    return Look(f"batch of step {step}", plan.spacing_mm, plan.plane, plan.channels, _classes(material))


def _classes(material: Material) -> tuple[str, ...]:
    """Return the names of the classes from 1 on, which follow the numbers of the labels."""
    labels = material.scheme.labels
    return tuple(sorted(labels, key=lambda name: labels[name]))
