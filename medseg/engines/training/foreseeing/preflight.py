"""What a training will hold in memory and on the disk, against what is free: decided before the first step."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import torch
from torch import nn

from medseg.engines.training.foreseeing.walk import walk
from medseg.engines.training.settings import TrainingSettings
from medseg.networks.unet import UNet
from medseg.pipeline.meter import own_memory, peak_of_own_memory
from medseg.values.error import wrong_setting
from medseg.values.plan import Plan

# What the backward pass holds beside the activations, counted in the largest one of them: gradients of it on both
# sides of a convolution and one copy in another order. Compared with measured steps in benchmarks/preflight.py.
PASSING = 3
RECOMPUTED = 3  # what one level keeps while its activations are computed again, in the same measure
LOSS_COPIES = 4  # of the logits in float32: their gradient, probabilities, and what the sums keep
CHECKPOINTS = 3  # the last two, and the draft of the next one
KEPT_WEIGHTS = 5  # best and last, averaged and raw, and the model package


@dataclass(frozen=True, slots=True)
class Load:
    """Bytes that a training step holds: `fixed` whatever the batch, and `patch` for each patch computed at once.

    `weights` are those of the network alone, once; `stored` is what one checkpoint takes on the disk.
    """

    fixed: int
    patch: int
    weights: int
    stored: int

    def of(self, patches: int) -> int:
        """Return the bytes of a step that computes so many patches at once."""
        return self.fixed + patches * self.patch

    def fitting(self, free: int) -> int:
        """Return how many patches at once fit in `free` bytes; below 1 not even one does."""
        return max(0, free - self.fixed) // max(1, self.patch)


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What a step of this process computes: so many `patches` of a batch, of this `plan`, in this `dtype`."""

    plan: Plan
    training: TrainingSettings
    patches: int
    dtype: torch.dtype = torch.float32


def load_of(network: nn.Module, step: StepPlan, recompute: bool = False) -> Load | None:
    """Estimate the load of a training from the shapes in its network, which lies on the meta device.

    None where the network cannot be walked without computing, or cannot recompute what it is asked to.
    """
    plan, training = step.plan, step.training
    weights = _bytes(network)
    moments = 2 if training.optimiser == "adamw" else int(training.momentum > 0)
    copies = 4 + moments  # the network, its average, and the best of both so far
    space = [size for axis, size in enumerate(plan.patch) if axis != plan.plane]
    held = _held(network, (plan.architecture.channels, *space), step.dtype, recompute)
    if held is None:
        return None
    batch = step.patches * prod(space) * (2 * 4 * plan.architecture.channels + 8)
    logits = LOSS_COPIES * 4 * plan.architecture.outputs * prod(space)
    return Load((copies + 1) * weights + batch, held + logits, weights, copies * weights)


def _held(network: nn.Module, image: Sequence[int], dtype: torch.dtype, recompute: bool) -> int | None:
    network.train()
    plain = walk(network, image, dtype)
    if plain is None or not recompute:
        return None if plain is None else plain.together + PASSING * plain.largest
    if not isinstance(network, UNet):
        return None
    network.recompute = True
    sparing = walk(network, image, dtype)
    network.recompute = False
    return None if sparing is None else sparing.together + (PASSING + RECOMPUTED) * plain.largest


def _bytes(network: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())


@dataclass(frozen=True, slots=True)
class Wish:
    """A load, how many patches are to be computed `at_once`, and what else could be done about it.

    `divisible` where a batch may be computed in parts. `sparing` is the load with machine.recompute=true, None where
    that is set already or not possible.
    """

    plan: Plan
    load: Load
    at_once: int
    divisible: bool
    sparing: Load | None

    @property
    def bytes(self) -> int:
        """What a step needs."""
        return self.load.of(self.at_once)


def demand_memory(wish: Wish, free: int, where: str) -> None:
    """Refuse (exit 2) a step that needs more than the `free` bytes of a place, naming the setting that makes it fit."""
    if wish.bytes <= free:
        return
    setting, remedy = _remedy(wish, free)
    rule = f"a training step (about {amount(wish.bytes)}, {wish.at_once} patches at once) fits in {where}"
    raise wrong_setting(setting, rule, f"{amount(free)} free", remedy)


def _remedy(wish: Wish, free: int) -> tuple[str, str]:
    least = 1 if wish.divisible else wish.at_once
    if wish.load.fitting(free) >= least:
        return "machine.microbatch", f"set machine.microbatch={wish.load.fitting(free)}: only rounding changes"
    sparing = 0 if wish.sparing is None else wish.sparing.fitting(free)
    if sparing >= least:
        more = "" if sparing >= wish.at_once else f" and machine.microbatch={sparing}"
        return "machine.recompute", f"set machine.recompute=true{more}: only rounding changes"
    patch = min(load.patch for load in (wish.load, wish.sparing) if load is not None)
    room = (free - wish.load.fixed) / max(1, least * patch)
    if room <= 0:
        return "network.width", "lower network.width or network.widest, or take a machine with more memory"
    size = smaller_patch(wish.plan, room)
    spared = " with machine.recompute=true" if wish.sparing is not None else ""
    parts = " and machine.microbatch=1" if wish.divisible and wish.at_once > 1 else ""
    return "patches.size", f"set patches.size={size}{spared}{parts}, or lower network.width"


def smaller_patch(plan: Plan, share: float) -> list[int]:
    """Return a patch with at most `share` of the voxels, the same form, and sizes that the network's steps divide."""
    axes = [axis for axis in range(3) if axis != plan.plane]
    steps = [prod(stride[place] for stride in plan.architecture.strides) for place in range(len(axes))]
    factor = min(1.0, share) ** (1 / len(axes))
    return [max(step, int(plan.patch[axis] * factor) // step * step) for axis, step in zip(axes, steps, strict=True)]


def stored(load: Load) -> int:
    """Return the bytes of all checkpoints and weights that are on the disk at once."""
    return CHECKPOINTS * load.stored + KEPT_WEIGHTS * load.weights


def demand_disk(load: Load, out: Path) -> None:
    """Refuse (exit 2) a disk that has no room for the checkpoints and the weights of a training in `out`."""
    need = stored(load)
    there = sum(path.stat().st_size for path in (out / "checkpoint").rglob("*") if path.is_file())
    free = shutil.disk_usage(out).free + there
    if need > free:
        rule = f"checkpoints and weights (about {amount(need)}) fit on the disk of {out}"
        raise wrong_setting(
            "machine.store", rule, f"{amount(free)} free", "set machine.store to a folder with more room"
        )


@dataclass(frozen=True, slots=True)
class MemoryWatch:
    """Compares what a training holds with what was foreseen. `before` is what the process held without it."""

    device: torch.device
    foreseen: int | None
    before: int

    @classmethod
    def begun(cls, device: torch.device, foreseen: int | None) -> MemoryWatch:
        """Return a watch that begins now, before the network lies on its device."""
        return cls(device, foreseen, on_device(device) if device.type == "cuda" else own_memory())

    def beside(self, count: int) -> MemoryWatch:
        """Return a watch that leaves out so many bytes more: those of cases that lie on the device."""
        return replace(self, before=self.before + count)

    def held(self) -> int:
        """Return the most bytes that training has held by now: tensors on a CUDA device, else the computer's memory."""
        cuda = self.device.type == "cuda"
        peak = torch.cuda.max_memory_allocated(self.device) if cuda else peak_of_own_memory()
        return max(0, peak - self.before)


def on_device(device: torch.device) -> int:
    """Return the bytes of tensors on a CUDA device, 0 for others."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0


def amount(count: int) -> str:
    """Write a number of bytes, e.g. `1.5 GB`."""
    return f"{count / 1e9:.1f} GB" if count >= 5e7 else f"{count / 1e6:.1f} MB"
