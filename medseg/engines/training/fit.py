"""The training loop: one step per batch, yielded to the caller."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from medseg.engines.sampling.cut import Batch
from medseg.engines.training.averaging import move_average
from medseg.engines.training.optimiser import set_rate
from medseg.engines.training.settings import TrainingSettings
from medseg.engines.training.state import State
from medseg.values.error import Refusal, wrong_setting
from medseg.values.streams import stream

Loss = Callable[[Tensor | tuple[Tensor, ...], Tensor, Tensor | None], Tensor]
LAG = 16  # steps that a GPU may be behind before anybody waits for a loss


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step taken: the loss before it, the norm of the gradients before clipping, the learning rate used."""

    number: int
    loss: Tensor
    norm: Tensor
    rate: float


def fit(
    state: State,
    batches: Iterable[Batch],
    loss: Loss,
    pace: Callable[[int], float],
    settings: TrainingSettings,
    seed: int,
) -> Iterator[Step]:
    """Take one step per batch and yield it: the caller logs, validates, saves and stops.

    `loss` takes logits, classes and the batch's `annotated`. `state` is moved on in place, its step counted first.
    `pace` gives each step's factor of the learning rate. The numbers of dropout belong to (seed, step). Refuses a loss
    that is not finite: on CUDA some steps later, and before the loop ends, so that nothing waits for the device.
    """
    device = next(state.network.parameters()).device
    half = precision_of(settings, device)
    unchecked: deque[Step] = deque()
    for batch in batches:
        state.tally.step += 1
        step = _take(state, batch, loss, pace(state.tally.step), settings, seed, half)
        unchecked.append(step)
        if len(unchecked) > (LAG if device.type == "cuda" else 0):
            demand_finite(unchecked.popleft())
        yield step
    for step in unchecked:
        demand_finite(step)


def _take(
    state: State, batch: Batch, loss: Loss, factor: float, settings: TrainingSettings, seed: int, half: bool
) -> Step:
    number, rate = state.tally.step, settings.learning_rate * factor
    torch.manual_seed(int(stream(seed, "dropout", number).integers(2**63)))
    state.network.train()
    set_rate(state.optimiser, rate)
    with torch.autocast(batch.images.device.type, torch.bfloat16, enabled=half):
        logits = state.network(batch.images)
    value = loss(logits, batch.classes, batch.annotated)
    state.optimiser.zero_grad()
    value.backward()  # type: ignore[no-untyped-call]
    norm = clip_grad_norm_(state.network.parameters(), settings.clip)
    state.optimiser.step()
    move_average(state.average, state.network, number, settings.ema)
    return Step(number, value.detach(), norm.detach(), rate)


def demand_finite(step: Step) -> None:
    """Refuse a step whose loss is not a finite number; waits for that step."""
    value = step.loss.item()
    if not isfinite(value):
        raise Refusal("training", f"the loss of step {step.number} is finite", value,
                      "lower training.learning_rate, or set training.precision=fp32")  # fmt: skip


def precision_of(settings: TrainingSettings, device: torch.device) -> bool:
    """Return whether to compute in bfloat16. Refuses to where there is no CUDA device."""
    if settings.precision == "bf16" and device.type != "cuda":
        raise wrong_setting("training.precision", "bf16 is for a CUDA device", "bf16", "set auto or fp32")
    return device.type == "cuda" and settings.precision != "fp32"
