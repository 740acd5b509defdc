"""The batches of a training as its machine makes them: where cases lie, who cuts, and who works ahead."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import torch

from medseg.engines.ranks import ALONE, Ranks
from medseg.engines.room import free_on_device, free_on_host
from medseg.engines.sampling.cutting.cut import Batch
from medseg.engines.sampling.supplying.ahead import ahead
from medseg.engines.sampling.supplying.batches import Sampler, batches
from medseg.engines.sampling.supplying.cutters import Cutters
from medseg.engines.sampling.supplying.residence import Residence, Room, choose, settle, size_of
from medseg.values.machine import Machine

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Supply:
    """Who asks for batches: a machine, its device, the processes that train together, and what one step needs.

    `step_bytes` is the memory of the device that training takes beside the cases; where it is not known (None), cases
    may take half of what is free.
    """

    machine: Machine
    device: torch.device
    ranks: Ranks = ALONE
    step_bytes: int | None = None

    def residence(self, sampler: Sampler) -> Residence:
        """Decide where the cases lie; refuses `machine.data` and `machine.workers` that do not go together."""
        machine = self.machine
        return choose(machine.data, size_of(sampler.cases), self.room(), machine.workers)

    def room(self) -> Room:
        """Return what is free for cases now; processes that train together share the memory of the computer."""
        host = free_on_host() // self.ranks.local_world
        if self.device.type != "cuda":
            return Room(host)
        free = free_on_device(self.device)
        return Room(host, max(0, free - (free // 2 if self.step_bytes is None else self.step_bytes)))


@contextmanager
def supplied(sampler: Sampler, supply: Supply, first_step: int = 1) -> Iterator[Iterator[Batch]]:
    """Yield this rank's share of the batch of step `first_step`, the next one and so on, without end.

    A CUDA device gets its batches from a thread that works ahead; a CPU has no core to spare for one. Threads and
    processes are gone when the context is left. The batches are the same whatever the machine.
    """
    residence = supply.residence(sampler)
    if residence.place != "mapped" and supply.ranks.leads:
        logger.info(residence.told)
    settled = settle(sampler.cases, residence.place, supply.device)
    own = replace(sampler, cases=settled.cases)
    with ExitStack() as stack:
        if settled.block is not None:
            stack.callback(settled.block.close)
        workers = supply.machine.workers
        cutters = stack.enter_context(Cutters(own, workers, settled.block)) if workers else None
        source = batches(own, supply.device, first_step, supply.ranks, cutters)
        yield _closed(stack, ahead(source, device=supply.device) if supply.device.type == "cuda" else source)


def _closed(stack: ExitStack, source: Generator[Batch, None, None]) -> Generator[Batch, None, None]:
    stack.callback(source.close)
    return source
