"""The loop that predicts a whole volume, window by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations, islice
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from medseg.engines.inference.blending import Canvas
from medseg.engines.inference.layout import Window, lay_windows
from medseg.engines.inference.settings import InferenceSettings
from medseg.values.error import Refusal
from medseg.values.volume import Array, FloatArray

Activation = Literal["softmax", "sigmoid"]
# Guess of what a network keeps per voxel of a window, in float32 numbers: eight maps of 32 features.
_NUMBERS_PER_VOXEL = 256
# More voxels at once bring no speed: the cores, or the GPU, are busy.
_ENOUGH_VOXELS = {"cpu": 1 << 18, "cuda": 1 << 23}


def predict_scores(
    network: nn.Module,
    image: Array,
    patch: tuple[int, int, int],
    plane: int | None,
    settings: InferenceSettings,
    activation: Activation,
    device: torch.device,
    memory_gb: float = 4.0,
    mirror_axes: Sequence[int] = (0, 1, 2),
) -> FloatArray:
    """Return probabilities `(outputs, X, Y, Z)` float32 of an image `(C, X, Y, Z)`: the mean over windows (and flips).

    The network lies on `device` and is left in the mode it came in. With a `plane` it sees slices: `patch` is 1 along
    that axis, which is squeezed out. Where the image is smaller than the patch it is padded with zeros on both sides:
    the mean after normalisation, and what training pads with. With `settings.mirror` the flips of `mirror_axes` are
    averaged, which should be those that training flipped. `memory_gb` bounds the windows computed at once, not the
    result. Refuses scores that are not finite.
    """
    flips = _flips(mirror_axes, plane) if settings.mirror else [()]
    windows = lay_windows(_space(image), patch, settings.overlap, settings.blend)
    canvas: Canvas | None = None
    with torch.inference_mode(), _evaluating(network):
        while batch := list(islice(windows, _batch_size(patch, device, memory_gb))):
            found = _compute(network, _cut(image, batch, patch, plane), flips, settings, activation, device)
            found = found if plane is None else found.unsqueeze(plane + 2)
            canvas = canvas or Canvas(found.shape[1], _space(image))
            for window, values in zip(batch, found.numpy(), strict=True):
                canvas.paint(window, values)
    scores = canvas.finish() if canvas else None
    if scores is None or not np.isfinite(scores).all():
        remedy = "train with a lower training.learning_rate, or predict with inference.precision=float32"
        raise Refusal("network", "scores are finite numbers", "nan or infinity", remedy)
    return scores


def _flips(axes: Sequence[int], plane: int | None) -> list[tuple[int, ...]]:
    """Return every set of batch axes to flip, the empty one first; a network on slices has no axis `plane`."""
    seen = [2 + axis - (plane is not None and axis > plane) for axis in sorted(axes) if axis != plane]
    return [flip for count in range(len(seen) + 1) for flip in combinations(seen, count)]


def _space(image: Array) -> tuple[int, int, int]:
    _, x, y, z = image.shape
    return x, y, z


def _batch_size(patch: tuple[int, int, int], device: torch.device, memory_gb: float) -> int:
    voxels = int(np.prod(patch))
    fitting = int(memory_gb * 1e9 / (4 * _NUMBERS_PER_VOXEL * voxels))
    return max(1, min(fitting, _ENOUGH_VOXELS.get(device.type, 1 << 18) // voxels))


def _cut(image: Array, windows: Sequence[Window], patch: tuple[int, int, int], plane: int | None) -> Tensor:
    """Cut the windows out: `(B, C, *space)` float32, zeros where they reach beyond the image."""
    batch = np.zeros((len(windows), image.shape[0], *patch), np.float32)
    for cut, window in zip(batch, windows, strict=True):
        cut[(slice(None), *window.within)] = image[(slice(None), *window.inner)]
    return torch.from_numpy(batch if plane is None else batch.squeeze(plane + 2))


def _compute(
    network: nn.Module,
    x: Tensor,
    flips: Sequence[tuple[int, ...]],
    settings: InferenceSettings,
    activation: Activation,
    device: torch.device,
) -> Tensor:
    """Return probabilities on the CPU, the mean over `flips`."""
    x = x.to(device, non_blocking=True)
    mean = _probabilities(network, x, flips[0], settings, activation)
    for flip in flips[1:]:
        mean += _probabilities(network, x, flip, settings, activation)
    return (mean / len(flips)).cpu()


def _probabilities(
    network: nn.Module, x: Tensor, flip: tuple[int, ...], settings: InferenceSettings, activation: Activation
) -> Tensor:
    with torch.autocast(x.device.type, torch.bfloat16, enabled=x.is_cuda and settings.precision == "bf16"):
        logits: Tensor = network(x.flip(flip) if flip else x)
    scores = logits.float().softmax(1) if activation == "softmax" else logits.float().sigmoid()
    return scores.flip(flip) if flip else scores


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Put every part of the network into eval mode, and back into its own mode afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
