"""The processes that train together: who I am among them, what is my share, and sums over all.

torch is imported by what computes with it only, so that a command that runs alone pays nothing for this.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from medseg.values.error import Refusal, wrong_setting

if TYPE_CHECKING:
    from torch import Tensor, nn

Item = TypeVar("Item")
SIGNS = ("gloo", "nccl", "closed by peer", "reset by peer", "broken pipe")  # what PyTorch says when one is gone
_LONGEST_PAUSE = 0.05


class Lost(Refusal):
    """Another process of this run is gone, so that none can go on."""

    def __init__(self, what: object) -> None:
        plain = re.sub(r"^\[\S*\] ", "", str(what)).split(". ")[0]  # without the line of PyTorch's source
        super().__init__(
            "torchrun", "another process of this run was lost", plain[:160], "the same command continues from here"
        )


@dataclass(frozen=True, slots=True)
class Ranks:
    """One of `world` processes of a run; the first one, `rank` 0, leads: it alone writes files and speaks.

    `local_rank` of `local_world` is the place among the processes of this machine. What is summed or told is a meeting
    of all processes: each has to come to the same ones in the same order. A lost process is refused as `Lost`.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def deal(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return this process's part: neighbours stay together, and sizes differ by one at most."""
        first, rest = divmod(len(items), self.world)
        start = self.rank * first + min(self.rank, rest)
        return items[start : start + first + (self.rank < rest)]

    def add(self, values: Tensor) -> Tensor:
        """Return the sum of `values` over all processes, the same bytes in each; alone, `values` itself.

        On CUDA nothing waits for the device. Gradients do not pass through it.
        """
        if self.world == 1:
            return values
        import torch.distributed as dist

        total = values.detach().clone()
        with losses_told():
            dist.all_reduce(total)
        return total

    def tell(self, text: str) -> str:
        """Return the text that the leading process gave, in every process; also a meeting point.

        It may take hours until the leader comes; a signal is obeyed while waiting.
        """
        return text if self.world == 1 else self._from(0, text)

    def gather(self, text: str) -> tuple[str, ...]:
        """Return the texts that the processes gave, in the order of their ranks, in every process."""
        return (text,) if self.world == 1 else tuple(self._from(source, text) for source in range(self.world))

    def wrap(self, network: nn.Module) -> nn.Module:
        """Return the network to train with: its backward pass averages gradients over all processes.

        Alone that is `network` itself. It starts everywhere with the leader's weights; its state dict keeps its names
        in `network`, which holds the weights. Weights without a gradient are allowed; buffers stay each process's own.
        Source: Li et al. 2020, arXiv:2006.15704. Buckets are not put in a new order after the first step, as this
        would change the order of sums between a run and its continuation.
        """
        if self.world == 1:
            return network
        from torch.nn.parallel import DistributedDataParallel

        with losses_told(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of a setting that torch before 2.13 has no other name for
            return DistributedDataParallel(
                network, broadcast_buffers=False, gradient_as_bucket_view=True, find_unused_parameters=True
            )

    def demand_patches(self, batch: int) -> None:
        """Refuse a batch that has no patch for some process."""
        if batch < self.world:
            rule = f"each of the {self.world} processes needs a patch of every batch"
            remedy = f"set patches.batch={self.world} or more, or start {batch} processes"
            raise wrong_setting("patches.batch", rule, batch, remedy)

    def _from(self, source: int, text: str) -> str:
        import numpy as np
        import torch
        import torch.distributed as dist

        content = np.frombuffer(text.encode(), np.uint8)
        length = torch.tensor([len(content)])
        with losses_told():
            _await(dist.broadcast(length, source, async_op=True))
            count = int(length)
            data = torch.from_numpy(content.copy()) if self.rank == source else torch.empty(count, dtype=torch.uint8)
            if count:
                _await(dist.broadcast(data, source, async_op=True))
        return data.numpy().tobytes().decode()


ALONE = Ranks()
_company = [ALONE]


def current() -> Ranks:
    """Return this process's place in the run that it takes part in, `ALONE` unless it was started by torchrun."""
    return _company[-1]


@contextmanager
def as_current(ranks: Ranks) -> Iterator[Ranks]:
    """Let `current()` be `ranks` for a while."""
    _company.append(ranks)
    try:
        yield ranks
    finally:
        _company.pop()


@contextmanager
def losses_told() -> Iterator[None]:
    """Turn what PyTorch raises when another process is gone into `Lost`; other errors stay as they are."""
    try:
        yield
    except RuntimeError as error:
        if any(sign in str(error).lower() for sign in SIGNS):
            raise Lost(error) from error
        raise


def _await(work: Any) -> None:
    """Wait for a message as long as it takes; unlike PyTorch's own waiting, signals get through."""
    pause = 0.0002
    while not work.is_completed():
        time.sleep(pause)
        pause = min(_LONGEST_PAUSE, 1.3 * pause)
    work.wait()
