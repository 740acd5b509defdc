"""What the GPU benchmark learns from: volumes made of smooth noise, fine noise and nested blobs, and their plan."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import Tensor
from torch.nn import functional

from medseg.engines.sampling.settings import AugmentSettings, PatchSettings
from medseg.engines.sampling.supplying.batches import Sampler
from medseg.files.prepared import PreparedCase
from medseg.values.plan import Architecture, Plan

SEEDS = 10_000
AUGMENT = Path(__file__).resolve().parent.parent / "conf" / "augment" / "full.yaml"


@dataclass(frozen=True)
class Size:
    """How large everything is: features of each level, edges of patch and volume, number of cases."""

    features: tuple[int, ...]
    patch: int
    volume: tuple[int, int, int]
    cases: int


BRAIN = Size((32, 64, 128, 256, 320, 320), 128, (152, 184, 160), 6)
TINY = Size((8, 16, 16), 16, (24, 30, 20), 2)
CHANNELS, CLASSES = 4, 4


def architecture(size: Size) -> Architecture:
    """Return the U-Net of nnU-Net's plan for brain tumours: two 3 x 3 x 3 convolutions per level and side."""
    levels = len(size.features)
    return Architecture(
        dimensions=3,
        channels=CHANNELS,
        outputs=CLASSES,
        features=size.features,
        strides=((1, 1, 1), *((2, 2, 2),) * (levels - 1)),
        kernels=((3, 3, 3),) * levels,
    )


def sampler(size: Size, batch: int, device: torch.device) -> Sampler:
    """Return what batches are drawn from: generated cases in memory, with the augmentation `full`."""
    plan = Plan(
        spacing_mm=(1.0, 1.0, 1.0), patch=(size.patch,) * 3, batch=batch, plane=None, architecture=architecture(size)
    )
    augment = AugmentSettings.model_validate_json(json.dumps(yaml.safe_load(AUGMENT.read_text())))
    cases = [case(f"case_{number}", size, number, device) for number in range(size.cases)]
    return Sampler(0, cases, plan, PatchSettings(), augment)


def case(name: str, size: Size, seed: int, device: torch.device) -> PreparedCase:
    """Make one case on the device, for speed, and bring it to memory of the computer."""
    chance = torch.Generator(device).manual_seed(seed)
    anatomy = sum(2.0**-level * _smooth(CHANNELS, size.volume, 4 << level, chance, device) for level in range(4))
    bump = _smooth(1, size.volume, 3, chance, device)[0]
    limits = torch.quantile(
        bump.flatten()[:: max(1, bump.numel() // 100_000)], torch.tensor([0.85, 0.92, 0.97], device=device)
    )
    classes = torch.bucketize(bump, limits)
    fine = torch.randn((CHANNELS, *size.volume), generator=chance, device=device)
    image = anatomy + 0.7 * classes + 0.2 * fine  # type: ignore[operator]
    image = (image - image.mean((1, 2, 3), keepdim=True)) / image.std((1, 2, 3), keepdim=True)
    kinds = classes.to(torch.uint8).cpu().numpy()
    seeds = {index: _some(np.argwhere(kinds == index), seed) for index in range(1, CLASSES)}
    return PreparedCase(name, image.cpu().numpy(), kinds, seeds, (1.0, 1.0, 1.0), {})


def _smooth(channels: int, volume: Sequence[int], points: int, chance: torch.Generator, device: torch.device) -> Tensor:
    coarse = torch.randn((1, channels, points, points, points), generator=chance, device=device)
    return functional.interpolate(coarse, tuple(volume), mode="trilinear")[0]


def _some(places: np.ndarray, seed: int) -> np.ndarray:
    kept = np.random.default_rng(seed).permutation(len(places))[:SEEDS]
    return places[np.sort(kept)].astype(np.int32)
