"""The loss of a global batch and its gradients, in as many parts and processes as the machine needs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from medseg.engines.device import ordered
from medseg.engines.ranks import ALONE, Ranks
from medseg.engines.sampling.cutting.cut import Batch
from medseg.networks.dropout import drops
from medseg.ops.losses import Logits, Loss

Part = tuple[Batch, int, int]
Sums = Callable[[Logits, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True, slots=True)
class Division:
    """How a global batch is divided: `patches` of it in all (None: what a process gets is all), so many at once."""

    ranks: Ranks = ALONE
    patches: int | None = None
    microbatch: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Gradients:
    """Computes losses and gradients. `forward` is `network`, perhaps compiled or wrapped; `sums` are the loss's.

    images are brought to `layout`; convolutions compute in `dtype`.
    The loss depends on sums that add up over patches. They are added over all parts and processes first; the slope of
    the loss there is then what each part is differentiated with. So overlaps are those of the whole global batch,
    however it is divided, and dividing changes rounding only.
    """

    network: nn.Module
    forward: Callable[[Tensor], Logits]
    loss: Loss
    sums: Sums
    dtype: torch.dtype
    layout: torch.memory_format
    division: Division

    def compute(self, batch: Batch, seed: int, scale: Tensor | None = None) -> Tensor:
        """Add the gradients, times `scale`, to those of the weights, and return the loss: float32, on the device.

        batch: this process's patches.  seed: of dropout. One part needs one pass; several need a pass for the sums and
        another one for the gradients, each of which seeds the generator anew.
        """
        parts = self._parts(batch)
        if len(parts) == 1:
            sums = self._sums(*parts[0])
            value, slope = self._slope(sums.detach(), scale)
            torch.autograd.backward(sums, slope)
            return value
        value, slope = self._slope(self._total(parts, seed), scale)
        for number, part in enumerate(parts, start=1):
            torch.manual_seed(seed)
            with nullcontext() if number == len(parts) else self._keeping():
                torch.autograd.backward(self._sums(*part), slope)
        return value

    def _parts(self, batch: Batch) -> list[Part]:
        """Divide a batch evenly into parts of at most `microbatch` patches, and say where in the whole they begin."""
        here = len(batch.images)
        count = -(-here // (self.division.microbatch or here))
        columns = [[None] * count if one is None else one.tensor_split(count) for one in batch]
        parts = [Batch(*row) for row in zip(*columns, strict=True)]
        whole = self.division.patches or here
        begins = [self.division.ranks.deal(range(whole))[0]]
        for part in parts[:-1]:
            begins.append(begins[-1] + len(part.images))
        return [(part, begin, whole) for part, begin in zip(parts, begins, strict=True)]

    @torch.no_grad()
    def _total(self, parts: list[Part], seed: int) -> Tensor:
        found = []
        for part in parts:
            torch.manual_seed(seed)
            found.append(self._sums(*part))
        return torch.stack(found).sum(0)

    def _sums(self, part: Batch, begin: int, whole: int) -> Tensor:
        """Return the sums of a part that begins at patch `begin` of a `whole` global batch."""
        for layer in drops(self.network):
            layer.patches = whole
            layer.rows = torch.arange(begin, begin + len(part.images), device=part.images.device)
        images = ordered(part.images, self.layout)
        with torch.autocast(images.device.type, self.dtype, enabled=self.dtype != torch.float32):
            logits = self.forward(images)
        return self.sums(logits, part.classes, part.annotated)

    def _slope(self, sums: Tensor, scale: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the loss of the global batch, and its slope along the sums, as this process's gradients need it."""
        ranks = self.division.ranks
        with torch.enable_grad():
            total = ranks.add(sums).requires_grad_()
            value = self.loss.value(total)
            (slope,) = torch.autograd.grad(value, total)
        if ranks.world > 1:
            slope = slope * ranks.world  # gradients come back as the mean over the processes, and we want their sum
        return value.detach().float(), slope if scale is None else slope * scale

    def _keeping(self) -> AbstractContextManager[object]:
        """Keep the processes from adding their gradients yet."""
        quiet = getattr(self.forward, "no_sync", None)
        return nullcontext() if quiet is None else quiet()
