"""Losses from logits and class indices, without one-hot floats and with deterministic gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, softplus

from medseg.ops.loss_settings import LossSettings
from medseg.values.error import wrong_setting
from medseg.values.labels import LabelScheme

Logits = Tensor | tuple[Tensor, ...]
Loss = Callable[[Logits, Tensor], Tensor]
Table = tuple[tuple[bool, ...], ...]


def build_loss(settings: LossSettings, membership: Sequence[Sequence[int]] | None = None) -> Loss:
    """Return the loss: logits `(B, outputs, *space)` and class indices `(B, *space)` int64 to a scalar.

    A tuple of logits (deep supervision, full resolution first) gets the weights 1, 1/2, 1/4 ..., made to sum to 1; the
    classes are thinned to the size of each. `membership` is None for softmax; for sigmoid it is a table
    (regions x classes, 0 or 1) that says which class indices belong to each region.
    Computes in float32 whatever the precision of the logits (float64 stays). Refuses a table without sigmoid and
    sigmoid without a table.
    """
    if (membership is None) != (settings.activation == "softmax"):
        rule = "softmax goes with classes and sigmoid with regions"
        raise wrong_setting("loss.activation", rule, settings.activation, "set softmax, or sigmoid and data.regions")
    table = None if membership is None else tuple(tuple(bool(cell) for cell in row) for row in membership)

    def loss(logits: Logits, classes: Tensor) -> Tensor:
        scales = (logits,) if isinstance(logits, Tensor) else logits
        values, weights = [], [0.5**i for i in range(len(scales))]
        for scale, weight in zip(scales, weights, strict=True):
            classes = _thin(classes, scale)
            values.append(weight / sum(weights) * _at_one_scale(settings, table, scale, classes))
        return torch.stack(values).sum()

    return loss


def membership_of(scheme: LabelScheme) -> Table:
    """Return which class indices belong to which region: a row per region in the scheme's order, a column per class."""
    return tuple(tuple(value in members for value in scheme.values) for members in scheme.regions.values())


def overlap_loss(
    probabilities: Tensor,
    truth: Tensor,
    false_positives: float = 0.5,
    false_negatives: float = 0.5,
    smooth: float = 1.0,
) -> Tensor:
    """Return one minus the mean over classes of TP / (TP + a FP + b FN); with a = b = 1/2 this is the soft Dice.

    probabilities and truth (bool): `(B, K, *space)`, without background. Sums run over batch and space, so a patch with
    little of a class cannot dominate. A class absent from the truth scores smooth / (smooth + a FP): 1 where nothing is
    predicted, and falling with every false voxel. A class that is present gets no smoothing, so predicting nothing
    earns exactly 0 for it however small it is, and a perfect prediction exactly 1.
    Source: Milletari et al. 2016, arXiv:1606.04797, with unsquared denominators; Salehi et al. 2017, arXiv:1706.05721.
    """
    over = [0, *range(2, probabilities.ndim)]
    right = (probabilities * truth).sum(over)
    predicted = probabilities.sum(over)
    present = truth.sum(over).to(predicted.dtype)
    steady = smooth * (present == 0)
    wrong = false_positives * (predicted - right) + false_negatives * (present - right)
    return 1.0 - ((right + steady) / (right + wrong + steady)).mean()


def focal_mean(surprise: Tensor, gamma: float) -> Tensor:
    """Return the mean of (1 - p)^gamma * -log p, given `surprise` = -log p of what is true, in any shape.

    Source: Lin et al. 2017, arXiv:1708.02002, without class weights.
    """
    doubt = -torch.expm1(-surprise)
    # A root's slope at 0 is infinite; no gradient is lost by staying away from it.
    return (doubt.clamp_min(1e-12) ** gamma * surprise).mean()


class _Reading(Protocol):
    """One way to read logits: as classes or as regions."""

    def probabilities(self) -> Tensor: ...
    def truth(self) -> Tensor: ...
    def surprise(self) -> Tensor: ...


@dataclass(frozen=True, slots=True, eq=False)
class _Classes:
    """Softmax: one class per voxel, background first; overlaps are measured on the foreground."""

    logs: Tensor
    classes: Tensor

    def probabilities(self) -> Tensor:
        return self.logs[:, 1:].exp()

    def truth(self) -> Tensor:
        kinds = torch.arange(1, self.logs.shape[1], device=self.classes.device)
        return self.classes[:, None] == kinds.view(-1, *[1] * (self.classes.ndim - 1))

    def surprise(self) -> Tensor:
        # Gather and not nll_loss: that one has no deterministic gradient on CUDA.
        return -self.logs.gather(1, self.classes[:, None])


@dataclass(frozen=True, slots=True, eq=False)
class _Regions:
    """Sigmoid: one yes-or-no question per region and voxel."""

    logits: Tensor
    inside: Tensor

    def probabilities(self) -> Tensor:
        return self.logits.sigmoid()

    def truth(self) -> Tensor:
        return self.inside

    def surprise(self) -> Tensor:
        return softplus(torch.where(self.inside, -self.logits, self.logits))


def _at_one_scale(settings: LossSettings, table: Table | None, logits: Tensor, classes: Tensor) -> Tensor:
    logits = logits if logits.dtype == torch.float64 else logits.float()
    reading: _Reading
    if table is None:
        reading = _Classes(log_softmax(logits, 1), classes)
    else:
        reading = _Regions(logits, _lookup(table, classes.device)[:, classes].transpose(0, 1))
    return _value(settings, reading)


def _value(settings: LossSettings, reading: _Reading) -> Tensor:
    match settings.kind:
        case "ce":
            return reading.surprise().mean()
        case "tversky":
            return overlap_loss(
                reading.probabilities(), reading.truth(), settings.alpha, settings.beta, settings.smooth
            )
    dice = overlap_loss(reading.probabilities(), reading.truth(), smooth=settings.smooth)
    match settings.kind:
        case "dice":
            return dice
        case "dice_ce":
            beside = reading.surprise().mean()
        case "dice_focal":
            beside = focal_mean(reading.surprise(), settings.gamma)
    return settings.dice_weight * dice + settings.ce_weight * beside


def _thin(classes: Tensor, logits: Tensor) -> Tensor:
    """Take every n-th voxel along each axis, as the strided convolution that led to the next coarser logits did."""
    steps = [-(-n // m) for n, m in zip(classes.shape[1:], logits.shape[2:], strict=True)]
    return classes[(slice(None), *(slice(None, None, step) for step in steps))]


@lru_cache(maxsize=16)
def _lookup(table: Table, device: torch.device) -> Tensor:
    """Return the membership table on the device; kept, for a copy in every step would cost time."""
    return torch.tensor(table, dtype=torch.bool, device=device)
