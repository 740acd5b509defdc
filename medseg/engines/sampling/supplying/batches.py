"""An endless row of batches: drawn whole, dealt to the ranks, cut and changed."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

import torch

from medseg.engines.ranks import ALONE, Ranks
from medseg.engines.sampling.changing.intensity import change_intensity
from medseg.engines.sampling.cutting.cut import Batch, cut
from medseg.engines.sampling.drawing.draw import draw_batch
from medseg.engines.sampling.drawing.drawn import Draw
from medseg.engines.sampling.drawing.shapes import CaseShape, shapes_of
from medseg.engines.sampling.settings import AugmentSettings, PatchSettings
from medseg.files.prepared import PreparedCase
from medseg.values.plan import Plan


@dataclass(frozen=True, slots=True, eq=False)
class Sampler:
    """All that a batch depends on, besides its step: nothing else can change which patches are drawn."""

    seed: int
    cases: Sequence[PreparedCase]
    plan: Plan
    patches: PatchSettings
    augment: AugmentSettings
    _shapes: list[CaseShape] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_shapes", shapes_of(self.cases, self.patches))

    def draws(self, step: int) -> tuple[Draw, ...]:
        """Draw the patches of a step, counted from 1; nothing is read for it."""
        plan = self.plan
        return draw_batch(self.seed, step, self._shapes, plan.patch, plan.batch, self.patches, self.augment)

    def cut(self, draws: Sequence[Draw], device: torch.device) -> Batch:
        """Cut drawn patches, their intensities not yet changed."""
        return cut(draws, self.cases, self.plan.patch, self.plan.plane, device)


class Cutter(Protocol):
    """Cuts one batch after the other, in order, for example in other processes."""

    def cut(self, drawn: Iterable[Sequence[Draw]], device: torch.device) -> Iterator[tuple[Sequence[Draw], Batch]]:
        """Yield the draws of each batch and the batch cut from them."""


def batches(
    sampler: Sampler,
    device: torch.device,
    first_step: int = 1,
    ranks: Ranks = ALONE,
    cutter: Cutter | None = None,
) -> Generator[Batch, None, None]:
    """Yield the batch of step `first_step`, the next one and so on, without end.

    Every rank draws the whole batch and cuts its share of it. Wrap in `ahead.ahead` to work ahead.
    """
    drawn = (ranks.deal(sampler.draws(step)) for step in count(first_step))
    here = ((draws, sampler.cut(draws, device)) for draws in drawn)
    for draws, batch in cutter.cut(drawn, device) if cutter else here:
        yield finished(batch, draws)


def finished(batch: Batch, draws: Sequence[Draw]) -> Batch:
    """Return a cut batch with the intensities that were drawn; the batch given may be used up."""
    return batch._replace(images=change_intensity(batch.images, draws, keep=False))
