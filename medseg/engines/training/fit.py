"""The training loop: one step per batch, yielded to the caller."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from math import isfinite

from medseg.engines.sampling.cutting.cut import Batch
from medseg.engines.training.keeping.failure import Diverged, loss_diverged
from medseg.engines.training.stepping.precision import SMALLEST_SCALE
from medseg.engines.training.stepping.step import Step, Stepper

LAG = 16  # steps that a device may be behind; more would only hold memory


def fit(stepper: Stepper, batches: Iterable[Batch], pace: Callable[[int], float]) -> Iterator[Step]:
    """Take one step per batch and yield it: the caller logs, validates, saves and stops.

    `pace` gives each step's factor of the learning rate, by its number. Refuses a loss that is not finite: on CUDA some
    steps later, and before the loop ends, so that the device need not wait for the host, nor the host for more than
    the step that lies `LAG` steps back.
    """
    unchecked: deque[Step] = deque()
    for batch in batches:
        step = stepper.take(batch, pace(stepper.state.tally.step + 1))
        unchecked.append(step)
        while unchecked and (unchecked[0].ready or len(unchecked) > LAG):
            demand_finite(unchecked.popleft())
        yield step
    for step in unchecked:
        demand_finite(step)


def demand_finite(step: Step) -> None:
    """Refuse a step whose loss is not a finite number, or whose gradients are at no loss scale; waits for that step."""
    if not isfinite(step.loss):
        raise loss_diverged(step.number, step.loss, step.rate, step.norm)
    if step.scale is not None and step.scale < SMALLEST_SCALE:
        rule = f"the gradients of step {step.number} are finite at some loss scale"
        raise Diverged(rule, step.number, step.norm, step.rate, step.norm)
