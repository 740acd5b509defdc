"""From settings and architecture to a network with weights that belong to a seed."""

from __future__ import annotations

from math import prod

import torch
from torch import nn

from medseg.networks.monai import build_monai, multiples_of
from medseg.networks.settings import Monai, NetworkSettings
from medseg.networks.unet import UNet
from medseg.values.error import wrong_setting
from medseg.values.plan import Architecture
from medseg.values.streams import stream


def build_network(
    settings: NetworkSettings, architecture: Architecture, seed: int, patch: tuple[int, ...] | None = None
) -> nn.Module:
    """Build a network: images `(B, C, *space)` in, logits `(B, outputs, *space)` out.

    In training mode with deep supervision it returns a tuple of logits, full resolution first; in eval mode always one
    tensor. The same seed gives the same weights, and no global random state changes. `patch` is needed by UNETR alone,
    which works at one size only. Weights are on the CPU.
    Refuses an architecture of other dimensions than the settings, and what MONAI's constructor does not take.
    """
    if settings.dimensions != architecture.dimensions:
        rule = f"the plan is for a network of {architecture.dimensions} dimensions"
        raise wrong_setting("network", rule, settings.dimensions, "make the plan again with this network")
    size = None if patch is None else _space(patch, architecture)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(stream(seed, "network").integers(2**63)))
        if isinstance(settings, Monai):
            return build_monai(settings, architecture, size)
        return UNet(architecture, settings.deep_supervision, settings.dropout)


def check_patch(settings: NetworkSettings, architecture: Architecture, patch: tuple[int, ...]) -> None:
    """Refuse a patch that the network cannot work at, and say what would fit.

    `patch` has one number per axis; in 2D it may have three, one of them 1. Our U-Nets take any size, MONAI's networks
    want multiples; all need at least two voxels at their coarsest level, or its normalisation has nothing to measure.
    """
    size = _space(patch, architecture)
    multiples = multiples_of(settings, architecture) if isinstance(settings, Monai) else _steps(architecture)
    bottom = [-(-n // m) for n, m in zip(size, multiples, strict=True)]
    uneven = isinstance(settings, Monai) and any(n % m for n, m in zip(size, multiples, strict=True))
    if not uneven and prod(bottom) > 1:
        return
    near = [max(1, round(n / m)) * m for n, m in zip(size, multiples, strict=True)]
    if prod(near) == prod(multiples):
        near[-1] *= 2
    name = settings.name if isinstance(settings, Monai) else settings.kind
    want = f"{name} wants multiples of {multiples} and two of them along one axis at least"
    raise wrong_setting("patches.size", want, size, f"set {near}, or fewer network.levels where the network has them")


def _steps(architecture: Architecture) -> tuple[int, ...]:
    return tuple(prod(steps) for steps in zip(*architecture.strides, strict=True))


def _space(patch: tuple[int, ...], architecture: Architecture) -> tuple[int, ...]:
    """Leave out the axis that a 2D network does not see."""
    if len(patch) == architecture.dimensions:
        return patch
    if len(patch) == 3 and 1 in patch:
        flat = patch.index(1)
        return patch[:flat] + patch[flat + 1 :]
    raise wrong_setting(
        "patches.size",
        f"a patch has {architecture.dimensions} axes longer than 1",
        patch,
        "set one along the plane to 1",
    )
