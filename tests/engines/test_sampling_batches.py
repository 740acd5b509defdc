"""The row of batches: it can begin anywhere, and the ranks share each batch without a gap."""

from __future__ import annotations

from itertools import islice

import torch

from medseg.engines.ranks import Ranks
from medseg.engines.sampling.cutting.cut import Batch
from medseg.engines.sampling.supplying.batches import batches
from tests.engines.batch_cases import CPU, case_of, one_thread, same, sampler_of

__all__ = ["one_thread"]

CASES = [case_of(number, (1,) if number == 1 else None) for number in range(3)]


def taken(count: int, first_step: int = 1, ranks: Ranks | None = None) -> list[Batch]:
    return list(islice(batches(sampler_of(CASES), CPU, first_step, ranks or Ranks()), count))


def test_batches_can_begin_at_any_step() -> None:
    assert same(taken(6)[3:], taken(3, first_step=4))
    assert not same(taken(2)[1:], taken(1))


def test_three_ranks_cut_the_parts_of_the_same_batches() -> None:
    whole, parts = taken(5), [taken(5, ranks=Ranks(rank, 3)) for rank in range(3)]
    assert [len(part[0].images) for part in parts] == [2, 1, 1]
    for step, batch in enumerate(whole):
        assert torch.equal(torch.cat([part[step].images for part in parts]), batch.images)
        assert torch.equal(torch.cat([part[step].classes for part in parts]), batch.classes)


def test_the_cases_are_not_written_to() -> None:
    before = [(case.image.copy(), case.classes.copy()) for case in CASES]
    for batch in taken(3):
        batch.images.zero_()
        batch.classes.zero_()
    assert all((case.image == image).all() and (case.classes == classes).all()
               for case, (image, classes) in zip(CASES, before, strict=True))  # fmt: skip
