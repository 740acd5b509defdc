"""Two ways to read logits, as classes or as regions, and which voxels of which samples count."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import log_softmax, logsigmoid

from medseg.values.labels import IGNORED

Table = tuple[tuple[bool, ...], ...]


class Answers(Protocol):
    """What logits say and what is true, of classes or regions K."""

    @property
    def counted_overlap(self) -> Tensor | None:
        """Which voxels count in overlaps: bool, of a shape that broadcasts to `(B, K, *space)`; None where all do."""

    @property
    def counted_surprise(self) -> Tensor | None:
        """Which voxels count in the mean surprise: bool, broadcasts to its shape; None where all do."""

    def probabilities(self) -> Tensor:
        """Return how sure the logits are, `(B, K, *space)`."""

    def truth(self) -> Tensor:
        """Return what is true, bool `(B, K, *space)`."""

    def surprise(self) -> Tensor:
        """Return -log of the probability of what is true, `(B, 1 or K, *space)`."""


def read_classes(logits: Tensor, classes: Tensor, annotated: Tensor | None, ignore: bool) -> Answers:
    """Read logits `(B, K, *space)` as one class per voxel, background first; overlaps are those of the foreground.

    In a sample where some classes were not looked for (`annotated`, see `build_loss`) its background stands for any of
    them: the probability of background is the sum of theirs and its own, and a voxel that the mask gives to one of
    them is background. The overlap of a class leaves out the samples where it was not looked for.
    Source: the marginal loss of Shi et al. 2021, arXiv:2007.03868, without their exclusion loss.
    """
    classes, counted = _settled(classes, ignore)
    logs = log_softmax(logits, 1)
    if annotated is None:
        return _Classes(logs, classes, counted, counted)
    known = annotated[:, : logits.shape[1]]
    classes = torch.where(known.gather(1, classes.flatten(1)).view(classes.shape), classes, 0)
    return _Classes(_joined(logs, known), classes, _both(_wide(known[:, 1:], classes), counted), counted)


def read_regions(logits: Tensor, classes: Tensor, table: Table, annotated: Tensor | None, ignore: bool) -> Answers:
    """Read logits `(B, R, *space)` as one yes-or-no question per region and voxel.

    A region counts in samples where all its labels were looked for: only there its truth is known.
    """
    classes, counted = _settled(classes, ignore)
    members = _lookup(table, classes.device)
    inside = members[:, classes].transpose(0, 1)
    if annotated is not None:
        missed = members & ~annotated[:, None, : members.shape[1]]
        counted = _both(_wide(~missed.any(-1), classes), counted)
    return _Regions(logits, inside, counted, counted)


class _Chosen(torch.autograd.Function):
    """The score of one class per voxel.

    nll_loss has no deterministic gradient on CUDA, and that of gather sorts all voxels to be deterministic. Here each
    score's gradient is decided by itself.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, classes: Tensor) -> Tensor:
        """Take scores `(B, K, *space)` at classes `(B, 1, *space)`."""
        ctx.save_for_backward(classes)
        ctx.kinds = scores.shape[1]
        return scores.gather(1, classes)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        """Hand the slope `(B, 1, *space)` to the chosen scores."""
        (classes,) = ctx.saved_tensors
        kinds = torch.arange(ctx.kinds, device=classes.device).view(-1, *[1] * (classes.ndim - 2))
        return torch.where(classes == kinds, slope, 0.0), None


@dataclass(frozen=True, slots=True, eq=False)
class _Classes:
    logs: Tensor
    classes: Tensor
    counted_overlap: Tensor | None
    counted_surprise: Tensor | None

    def probabilities(self) -> Tensor:
        return self.logs[:, 1:].exp()

    def truth(self) -> Tensor:
        kinds = torch.arange(1, self.logs.shape[1], device=self.classes.device)
        return self.classes[:, None] == kinds.view(-1, *[1] * (self.classes.ndim - 1))

    def surprise(self) -> Tensor:
        chosen: Tensor = _Chosen.apply(self.logs, self.classes[:, None])  # type: ignore[no-untyped-call]
        return -chosen


@dataclass(frozen=True, slots=True, eq=False)
class _Regions:
    logits: Tensor
    inside: Tensor
    counted_overlap: Tensor | None
    counted_surprise: Tensor | None

    def probabilities(self) -> Tensor:
        return self.logits.sigmoid()

    def truth(self) -> Tensor:
        return self.inside

    def surprise(self) -> Tensor:
        return -logsigmoid(torch.where(self.inside, self.logits, -self.logits))


def _settled(classes: Tensor, ignore: bool) -> tuple[Tensor, Tensor | None]:
    """Return class indices that may be looked up, and `(B, 1, *space)`: which voxels somebody annotated (None: all)."""
    if not ignore:
        return classes, None
    counted = classes != IGNORED
    return torch.where(counted, classes, 0), counted[:, None]


def _joined(logs: Tensor, known: Tensor) -> Tensor:
    """Add the probabilities of the classes that are not `known` (B, K) in a sample to that of its background."""
    foreground = known.clone()
    foreground[:, 0] = False
    background = logs.masked_fill(_wide(foreground, logs[:, 0]), -torch.inf).logsumexp(1, keepdim=True)
    return torch.cat([background, logs[:, 1:]], 1)


def _wide(flags: Tensor, classes: Tensor) -> Tensor:
    """Turn flags `(B, K)` into `(B, K, 1, ...)`, with an axis for each axis of space that the classes have."""
    return flags[(..., *[None] * (classes.ndim - 1))]


def _both(first: Tensor, second: Tensor | None) -> Tensor:
    return first if second is None else first & second


@lru_cache(maxsize=16)
def _lookup(table: Table, device: torch.device) -> Tensor:
    """Return the membership table on the device; kept, for a copy in every step would cost time."""
    return torch.tensor(table, dtype=torch.bool, device=device)
