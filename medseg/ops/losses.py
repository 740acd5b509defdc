"""Losses from logits and class indices, without one-hot floats and with deterministic gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from medseg.ops.loss_readings import Answers, Table, read_classes, read_regions
from medseg.ops.loss_settings import LossSettings
from medseg.values.error import wrong_setting
from medseg.values.labels import LabelScheme

Logits = Tensor | tuple[Tensor, ...]


class Loss(Protocol):
    """From logits and class indices to a scalar."""

    def __call__(self, logits: Logits, classes: Tensor, annotated: Tensor | None = None) -> Tensor:
        """Return the loss; `annotated` is None where every class was looked for in every sample."""


def build_loss(settings: LossSettings, membership: Sequence[Sequence[int]] | None = None, ignore: bool = False) -> Loss:
    """Return the loss: logits `(B, outputs, *space)` and class indices `(B, *space)` int64 to a scalar.

    A tuple of logits (deep supervision, full resolution first) gets the weights 1, 1/2, 1/4 ..., made to sum to 1; the
    classes are thinned to the size of each. `membership` is None for softmax; for sigmoid it is a table
    (regions x classes, 0 or 1) that says which class indices belong to each region.
    Computes in float32 whatever the precision of the logits (float64 stays). Refuses a table without sigmoid and
    sigmoid without a table.

    ignore: the classes may hold `IGNORED`; such voxels count nowhere, and a batch of nothing else gives 0 with zero
    gradients.  annotated: `(B, K)` bool (further columns are not looked at), whether a class was looked for in a
    sample, the background always. A class that was not is background to that sample: see `read_classes`. A region
    counts in samples where all of its labels were looked for. A mean over classes or voxels divides by what counts.
    """
    if (membership is None) != (settings.activation == "softmax"):
        rule = "softmax goes with classes and sigmoid with regions"
        raise wrong_setting("loss.activation", rule, settings.activation, "set softmax, or sigmoid and data.regions")
    table = None if membership is None else tuple(tuple(bool(cell) for cell in row) for row in membership)

    def loss(logits: Logits, classes: Tensor, annotated: Tensor | None = None) -> Tensor:
        scales = (logits,) if isinstance(logits, Tensor) else logits
        values, weights = [], [0.5**i for i in range(len(scales))]
        for scale, weight in zip(scales, weights, strict=True):
            classes = _thin(classes, scale)
            exact = scale if scale.dtype == torch.float64 else scale.float()
            if table is None:
                answers = read_classes(exact, classes, annotated, ignore)
            else:
                answers = read_regions(exact, classes, table, annotated, ignore)
            values.append(weight / sum(weights) * _value(settings, answers))
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
    counted: Tensor | None = None,
) -> Tensor:
    """Return one minus the mean over classes of TP / (TP + a FP + b FN); with a = b = 1/2 this is the soft Dice.

    probabilities and truth (bool): `(B, K, *space)`, without background. Sums run over batch and space, so a patch with
    little of a class cannot dominate. A class absent from the truth scores smooth / (smooth + a FP): 1 where nothing is
    predicted, and falling with every false voxel. A class that is present gets no smoothing, so predicting nothing
    earns exactly 0 for it however small it is, and a perfect prediction exactly 1.
    counted: which voxels count, bool and of a shape that broadcasts to theirs; None for all. A class of which none
    counts is left out of the mean; the loss is 0 if that is so for all.
    Source: Milletari et al. 2016, arXiv:1606.04797, with unsquared denominators; Salehi et al. 2017, arXiv:1706.05721.
    """
    over = [0, *range(2, probabilities.ndim)]
    if counted is not None:
        probabilities, truth = probabilities * counted, truth & counted
    right = (probabilities * truth).sum(over)
    predicted = probabilities.sum(over)
    present = truth.sum(over).to(predicted.dtype)
    steady = smooth * (present == 0)
    wrong = false_positives * (predicted - right) + false_negatives * (present - right)
    ratio = (right + steady) / (right + wrong + steady)
    if counted is None:
        return 1.0 - ratio.mean()
    known = counted.sum(over) > 0  # (K,), or (1,) where all classes share what counts
    return (1.0 - mean_of(ratio, known)) * known.any()


def focal_mean(surprise: Tensor, gamma: float, counted: Tensor | None = None) -> Tensor:
    """Return the mean of (1 - p)^gamma * -log p, given `surprise` = -log p of what is true, in any shape.

    Source: Lin et al. 2017, arXiv:1708.02002, without class weights.
    """
    doubt = -torch.expm1(-surprise)
    # A root's slope at 0 is infinite; no gradient is lost by staying away from it.
    return mean_of(doubt.clamp_min(1e-12) ** gamma * surprise, counted)


def mean_of(values: Tensor, counted: Tensor | None) -> Tensor:
    """Return the mean of the values that count (bool, broadcast to their shape; None for all), 0 where none does."""
    if counted is None:
        return values.mean()
    counted = counted.expand_as(values)
    # The clone keeps the memory order of the values: where all of them count, they are summed as mean() sums them.
    return values.clone().masked_fill_(~counted, 0.0).sum() / counted.sum().clamp_min(1)


def _value(settings: LossSettings, answers: Answers) -> Tensor:
    match settings.kind:
        case "ce":
            return mean_of(answers.surprise(), answers.counted_surprise)
        case "tversky":
            return _overlap(settings, answers, settings.alpha, settings.beta)
    dice = _overlap(settings, answers)
    match settings.kind:
        case "dice":
            return dice
        case "dice_ce":
            beside = mean_of(answers.surprise(), answers.counted_surprise)
        case "dice_focal":
            beside = focal_mean(answers.surprise(), settings.gamma, answers.counted_surprise)
    return settings.dice_weight * dice + settings.ce_weight * beside


def _overlap(settings: LossSettings, answers: Answers, alpha: float = 0.5, beta: float = 0.5) -> Tensor:
    return overlap_loss(answers.probabilities(), answers.truth(), alpha, beta, settings.smooth, answers.counted_overlap)


def _thin(classes: Tensor, logits: Tensor) -> Tensor:
    """Take every n-th voxel along each axis, as the strided convolution that led to the next coarser logits did."""
    steps = [-(-n // m) for n, m in zip(classes.shape[1:], logits.shape[2:], strict=True)]
    return classes[(slice(None), *(slice(None, None, step) for step in steps))]
