"""Losses from logits and class indices, without one-hot floats and with deterministic gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from medseg.ops.loss_readings import Answers, Table, read_classes, read_regions
from medseg.ops.loss_settings import LossSettings
from medseg.ops.loss_sums import focal_values, mean_sums, mean_value, overlap_sums, overlap_value
from medseg.values.error import wrong_setting
from medseg.values.labels import LabelScheme

Logits = Tensor | tuple[Tensor, ...]
_MEANS = ("ce", "dice_ce", "dice_focal")  # kinds with a mean over voxels in them


class Loss(Protocol):
    """From logits and class indices to a scalar, by way of sums that add up over patches."""

    def __call__(self, logits: Logits, classes: Tensor, annotated: Tensor | None = None) -> Tensor:
        """Return the loss, `value(sums(...))`; `annotated` is None where every class was looked for in every sample."""

    def sums(self, logits: Logits, classes: Tensor, annotated: Tensor | None = None) -> Tensor:
        """Return a float64 tensor whose entries, and whose gradients, add up over the patches of a batch."""

    def value(self, sums: Tensor) -> Tensor:
        """Return the loss, a float64 scalar, of the sums over all patches; its own summands do not add up."""


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
    return _Loss(settings, table, ignore)


@dataclass(frozen=True, slots=True)
class _Loss:
    settings: LossSettings
    table: Table | None
    ignore: bool

    def __call__(self, logits: Logits, classes: Tensor, annotated: Tensor | None = None) -> Tensor:
        finest = logits if isinstance(logits, Tensor) else logits[0]
        return self.value(self.sums(logits, classes, annotated)).to(_exact(finest).dtype)

    def sums(self, logits: Logits, classes: Tensor, annotated: Tensor | None = None) -> Tensor:
        """Return `(scales, N)`: a row per scale holds four sums per class or region, then a mean's two, as needed."""
        rows = []
        for scale in (logits,) if isinstance(logits, Tensor) else logits:
            classes = _thin(classes, scale)
            rows.append(_row(self.settings, self._answers(_exact(scale), classes, annotated)))
        return torch.stack(rows)

    def value(self, sums: Tensor) -> Tensor:
        """Weigh the losses of the scales 1, 1/2, 1/4 ..."""
        weights = [0.5**scale for scale in range(len(sums))]
        values = _values(self.settings, sums).unbind()
        parts = [weight / sum(weights) * value for weight, value in zip(weights, values, strict=True)]
        return torch.stack(parts).sum()

    def _answers(self, logits: Tensor, classes: Tensor, annotated: Tensor | None) -> Answers:
        if self.table is None:
            return read_classes(logits, classes, annotated, self.ignore)
        return read_regions(logits, classes, self.table, annotated, self.ignore)


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
    sums = overlap_sums(probabilities, truth, counted)
    return overlap_value(sums, false_positives, false_negatives, smooth).to(probabilities.dtype)


def focal_mean(surprise: Tensor, gamma: float, counted: Tensor | None = None) -> Tensor:
    """Return the mean of (1 - p)^gamma * -log p, given `surprise` = -log p of what is true: see `focal_values`."""
    return mean_of(focal_values(surprise, gamma), counted)


def mean_of(values: Tensor, counted: Tensor | None) -> Tensor:
    """Return the mean of the values that count (bool, broadcast to their shape; None for all), 0 where none does."""
    return mean_value(mean_sums(values, counted)).to(values.dtype)


def _row(settings: LossSettings, answers: Answers) -> Tensor:
    """Return the sums of one scale in a row: those of the overlap (if `kind` has one), then those of the mean."""
    parts = []
    if settings.kind != "ce":
        parts.append(overlap_sums(answers.probabilities(), answers.truth(), answers.counted_overlap).flatten())
    if settings.kind in _MEANS:
        surprise = answers.surprise()
        values = focal_values(surprise, settings.gamma) if settings.kind == "dice_focal" else surprise
        parts.append(mean_sums(values, answers.counted_surprise))
    return torch.cat(parts)


def _values(settings: LossSettings, sums: Tensor) -> Tensor:
    """Return the loss of each scale `(scales,)` from its row of sums."""
    if settings.kind == "ce":
        return mean_value(sums)
    if settings.kind == "tversky":
        return overlap_value(_by_class(sums), settings.alpha, settings.beta, settings.smooth)
    dice = overlap_value(_by_class(sums[:, :-2] if settings.kind in _MEANS else sums), 0.5, 0.5, settings.smooth)
    if settings.kind == "dice":
        return dice
    return settings.dice_weight * dice + settings.ce_weight * mean_value(sums[:, -2:])


def _by_class(rows: Tensor) -> Tensor:
    return rows.reshape(len(rows), 4, -1)


def _exact(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()


def _thin(classes: Tensor, logits: Tensor) -> Tensor:
    """Take every n-th voxel along each axis, as the strided convolution that led to the next coarser logits did."""
    steps = [-(-n // m) for n, m in zip(classes.shape[1:], logits.shape[2:], strict=True)]
    return classes[(slice(None), *(slice(None, None, step) for step in steps))]
