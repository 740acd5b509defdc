"""A whole training step recorded as one CUDA graph, and replayed."""

from __future__ import annotations

from collections.abc import Hashable

import torch
from torch import Tensor

from medseg.engines.sampling.cutting.cut import Batch
from medseg.engines.training.stepping.step import Learning

WARM_STEPS = 3  # after which libraries have chosen their kernels and the optimiser has its memory

Result = tuple[Tensor, Tensor]


class Recording:
    """Takes the first steps as they come, records the next one, and replays that record for all later ones.

    A record holds the addresses of tensors: those of the batch are filled anew, and those of weights, optimiser and
    loss scale stay as long as the `State`'s tensors are changed in place only. One record per kind of batch, which
    differ in whether `annotated` is given; they share their memory, since no two run at once.
    """

    def __init__(self, learning: Learning) -> None:
        self._learning = learning
        self._warm = 0
        self._records: dict[Hashable, tuple[torch.cuda.CUDAGraph, Batch, Result]] = {}
        self._pool = torch.cuda.graph_pool_handle()
        for group in learning.state.optimiser.param_groups:
            device = group["params"][0].device
            group["lr"] = torch.tensor(float(group["lr"]), device=device)  # a number would be recorded with its value

    def __call__(self, batch: Batch, seed: int) -> Result:
        """Learn from a batch; what comes back is the caller's to keep."""
        if self._warm < WARM_STEPS:
            self._warm += 1
            return self._aside(batch, seed)
        kind = tuple(None if one is None else tuple(one.shape) for one in batch)
        if kind not in self._records:
            self._records[kind] = self._record(batch, seed)
        graph, held, (loss, norm) = self._records[kind]
        for target, source in zip(held, batch, strict=True):
            if target is not None and source is not None:
                target.copy_(source, non_blocking=True)
        graph.replay()
        return loss.clone(), norm.clone()

    def _aside(self, batch: Batch, seed: int) -> Result:
        """Take a step on another stream, as PyTorch wants it before a record."""
        main, aside = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(main)
        with torch.cuda.stream(aside):
            result = self._learning(batch, seed)
        main.wait_stream(aside)
        return result

    def _record(self, batch: Batch, seed: int) -> tuple[torch.cuda.CUDAGraph, Batch, Result]:
        """Record a step without taking it."""
        optimiser = self._learning.state.optimiser
        for group in optimiser.param_groups:
            group["capturable"] = True
        held = Batch(*(None if one is None else one.clone() for one in batch))  # type: ignore[arg-type]
        optimiser.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        # Other threads may go on allocating meanwhile: the one that cuts the next batches does.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            result = self._learning(held, seed)
        return graph, held, result
