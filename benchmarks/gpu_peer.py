"""The same network trained in nnU-Net's way, written after nnU-Net v2.8: nnUNetTrainer, PlainConvUNet, its losses.

Convolutions have a bias, tensors are channels-first, precision is fp16 by autocast with a scaled loss, the network and
the Dice are compiled by torch.compile as is its default on CUDA, cuDNN tries its kernels, the optimiser is SGD, all
five decoder levels have an output of which the coarsest counts nothing, Dice is taken from one-hot float32 volumes of
the whole batch, and every step waits for its loss. Batches lie on the device already.
Source: Isensee et al., github.com/MIC-DKFZ/nnUNet, Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from itertools import count, islice
from typing import Any

import gpu_clock
import torch
from gpu_cases import CHANNELS, CLASSES, Size, sampler
from torch import Tensor, nn
from torch.nn import functional

from medseg.engines.sampling.supplying.batches import batches

Keep = Callable[[dict[str, Any]], None]


class Network(nn.Module):
    """PlainConvUNet: two convolutions per level and side, with an output at each level of the decoder."""

    def __init__(self, features: Sequence[int], channels: int = CHANNELS, classes: int = CLASSES) -> None:
        super().__init__()
        incoming = (channels, *features)
        levels = range(len(features))
        self.down = nn.ModuleList(_level(incoming[i], features[i], 1 if i == 0 else 2) for i in levels)
        self.climbs = nn.ModuleList(nn.ConvTranspose3d(features[i + 1], features[i], 2, 2) for i in levels[:-1])
        self.up = nn.ModuleList(_level(2 * features[i], features[i], 1) for i in levels[:-1])
        self.heads = nn.ModuleList(nn.Conv3d(features[i], classes, 1) for i in levels[:-1])

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return logits of all levels of the decoder, finest first."""
        skips = []
        for level in self.down:
            x = level(x)
            skips.append(x)
        outputs = []
        for i in reversed(range(len(self.up))):
            x = self.up[i](torch.cat((self.climbs[i](x), skips[i]), 1))
            outputs.append(self.heads[i](x))
        return outputs[::-1]


def _level(incoming: int, outgoing: int, stride: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels, step in ((incoming, stride), (outgoing, 1)):
        layers += [nn.Conv3d(channels, outgoing, 3, step, 1), nn.InstanceNorm3d(outgoing, eps=1e-5, affine=True)]
        layers.append(nn.LeakyReLU(0.01, inplace=True))
    return nn.Sequential(*layers)


class Dice(nn.Module):
    """MemoryEfficientSoftDiceLoss over the batch, without background."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return minus the mean Dice; target is `(B, 1, *space)`."""
        x, axes = torch.softmax(logits, 1), tuple(range(2, logits.ndim))
        with torch.no_grad():
            hot = torch.zeros(x.shape, device=x.device, dtype=torch.float32)
            hot.scatter_(1, target.long(), 1)
            hot = hot[:, 1:]
            present = hot.sum(axes, dtype=torch.float32)
        x = x[:, 1:]
        both, found = (one.sum(axes, dtype=torch.float32).sum(0) for one in (x * hot, x))
        return -((2 * both + 1e-5) / (present.sum(0) + found + 1e-5).clamp_min(1e-8)).mean()


class Loss(nn.Module):
    """Dice and cross-entropy of each level, weighted 1, 1/2, 1/4 ..., the coarsest 0."""

    def __init__(self, dice: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.dice = dice

    def forward(self, outputs: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
        """Return the loss of all levels."""
        weights = [0.5**level for level in range(len(outputs))][:-1] or [1.0]
        parts = [
            weight / sum(weights) * (functional.cross_entropy(one, target[:, 0].long()) + self.dice(one, target))
            for weight, one, target in zip(weights, outputs, targets, strict=False)
        ]
        return torch.stack(parts).sum()


class Trainer:
    """train_step of nnUNetTrainer."""

    def __init__(self, size: Size, device: torch.device, compiled: bool) -> None:
        cuda = device.type == "cuda"
        torch.manual_seed(0)
        network, dice = Network(size.features).to(device), Dice()
        self.network = torch.compile(network) if compiled else network
        self.loss = Loss(torch.compile(dice) if compiled else dice)
        self.weights = list(network.parameters())
        self.optimiser = torch.optim.SGD(self.weights, 1e-2, weight_decay=3e-5, momentum=0.99, nesterov=True)
        self.scaler = torch.amp.GradScaler("cuda") if cuda else None
        self.precision = torch.autocast("cuda") if cuda else nullcontext()

    def step(self, images: Tensor, targets: Sequence[Tensor]) -> float:
        """Take a step and return its loss."""
        self.optimiser.zero_grad(set_to_none=True)
        with self.precision:
            loss = self.loss(self.network(images), targets)
        if self.scaler is None:
            loss.backward()
            nn.utils.clip_grad_norm_(self.weights, 12)
            self.optimiser.step()
            return float(loss.detach().cpu())
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(self.weights, 12)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return float(loss.detach().cpu())


def measure(part: dict[str, Any], size: Size, keep: Keep) -> None:
    """Measure steps on batches that lie on the device."""
    torch.set_num_threads(gpu_clock.threads())
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = True, False
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with torch.no_grad():
        cut = list(islice(batches(sampler(size, part["batch"], device), device), 3))
    trainer = Trainer(size, device, part["compiled"] and device.type == "cuda")  # off by default on a CPU
    fixed = [(batch.images, _targets(batch.classes, len(size.features) - 1)) for batch in cut]
    numbers = count()

    def take() -> float:
        return trainer.step(*fixed[next(numbers) % len(fixed)])

    first = take()
    warming = gpu_clock.warm(take, device, 7 if device.type == "cuda" else 0)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    timed = gpu_clock.seconds_per_step(take, device)
    peak = gpu_clock.peak_gigabytes(device)
    keep({"warming_seconds": warming, "peak_gigabytes": peak, "bare": timed, "first_loss": first, "last_loss": take()})
    keep({"profile": gpu_clock.profile(take, device, 8)})


def _targets(classes: Tensor, levels: int) -> list[Tensor]:
    """Return labels `(B, 1, *space)` for each level, thinned as the nearest neighbour does it, int16 as nnU-Net's."""
    steps = (slice(None, None, 2**level) for level in range(levels))
    return [classes[:, None, step, step, step].to(torch.int16).contiguous() for step in steps]
