"""Small prepared cases, on the disk as training finds them, and what their batches are drawn from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from medseg.engines.sampling.cutting.cut import Batch
from medseg.engines.sampling.settings import AugmentSettings, PatchSettings, RotationSettings, ScalingSettings
from medseg.engines.sampling.supplying.batches import Sampler
from medseg.files.prepared import PreparedCase, read_prepared, write_prepared
from medseg.values.plan import Architecture, Plan

CPU = torch.device("cpu")
LIVELY = AugmentSettings.model_validate(
    {
        "rotation": {"probability": 0.5},
        "scaling": {"probability": 0.5, "per_axis_probability": 0.5},
        "elastic": {"probability": 0.5},
        "noise": {"probability": 0.5},
        "rician": {"probability": 0.3},
        "blur": {"probability": 0.5},
        "low_resolution": {"probability": 0.5},
        "gamma": {"probability": 0.5},
        "contrast": {"probability": 0.5},
        "bias_field": {"probability": 0.5},
        "channel_dropout": {"probability": 0.2},
    },
    strict=False,
)
TURNED = AugmentSettings(rotation=RotationSettings(probability=1.0), scaling=ScalingSettings(probability=1.0))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Compute with one thread: more would wait for each other on patches this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def plan_of(
    batch: int = 4, channels: int = 2, patch: tuple[int, int, int] = (8, 9, 7), plane: int | None = None
) -> Plan:
    dimensions = 3 if plane is None else 2
    return Plan(
        spacing_mm=(1.0, 1.0, 1.0),
        patch=patch,
        batch=batch,
        plane=plane,
        architecture=Architecture(
            dimensions=dimensions,
            channels=channels,
            outputs=3,
            features=(4,),
            strides=((1,) * dimensions,),
            kernels=((3,) * dimensions,),
        ),
    )


def case_of(number: int, annotated: tuple[int, ...] | None = None) -> PreparedCase:
    generator = np.random.default_rng(number)
    image = generator.standard_normal((2, 14 + number, 13, 12)).astype(np.float32)
    classes = (image[0] > 1).astype(np.uint8) + (image[0] > 1.5)
    seeds = {index: np.argwhere(classes == index).astype(np.int32) for index in (1, 2)}
    return PreparedCase(f"case_{number}", image, classes, seeds, (1.0, 1.0, 1.0), {}, annotated)


def written(folder: Path, count: int = 3) -> list[PreparedCase]:
    """Write cases, one of which was not searched for class 2, and read them as training does."""
    for number in range(count):
        write_prepared(folder / str(number), case_of(number, (1,) if number == 1 else None))
    return [read_prepared(folder / str(number)) for number in range(count)]


def sampler_of(cases: Sequence[PreparedCase], augment: AugmentSettings = LIVELY, plan: Plan | None = None) -> Sampler:
    return Sampler(5, cases, plan or plan_of(), PatchSettings(), augment)


def same(one: Sequence[Batch], two: Sequence[Batch]) -> bool:
    """Return whether batches hold the same bytes of the same types."""
    return len(one) == len(two) and all(_bytes(a) == _bytes(b) for a, b in zip(one, two, strict=True))


def _bytes(batch: Batch) -> list[tuple[torch.dtype, tuple[int, ...], bytes] | None]:
    return [None if part is None else (part.dtype, tuple(part.shape), part.contiguous().numpy().tobytes())
            for part in batch]  # fmt: skip
