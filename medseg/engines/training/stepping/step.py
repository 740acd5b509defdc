"""One step of training: gradients of a batch, then a move of the weights and of their average."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from medseg.engines.ranks import losses_told
from medseg.engines.sampling.cutting.cut import Batch
from medseg.engines.training.keeping.state import State
from medseg.engines.training.settings import TrainingSettings
from medseg.engines.training.stepping.averaging import move_average
from medseg.engines.training.stepping.gradients import Gradients
from medseg.engines.training.stepping.later import Later
from medseg.engines.training.stepping.optimiser import move, set_rate
from medseg.values.streams import stream

Learn = Callable[[Batch, int], tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step taken, at the learning rate `rate`. Its numbers may still be on their way from the device.

    Asking for one of them waits for this step, and for nothing that was begun after it.
    """

    number: int
    rate: float
    numbers: Later

    @property
    def ready(self) -> bool:
        """Whether the numbers have arrived, so that nobody would wait for them."""
        return self.numbers.arrived

    @property
    def loss(self) -> float:
        """Loss before the step."""
        return self.numbers.read()[0]

    @property
    def norm(self) -> float:
        """Norm of the gradients before clipping; with a loss scale an infinite one means that the step was skipped."""
        return self.numbers.read()[1]

    @property
    def scale(self) -> float | None:
        """Loss scale of fp16 after the step, None in other precisions."""
        values = self.numbers.read()
        return values[2] if len(values) == 3 else None


@dataclass(frozen=True, slots=True, eq=False)
class Learning:
    """Learns from a batch: moves the weights of `state`, and nothing else that is not on the device."""

    state: State
    gradients: Gradients
    clip: float

    def __call__(self, batch: Batch, seed: int) -> tuple[Tensor, Tensor]:
        """Return the loss and the norm of its gradients; `seed` is that of dropout, which is seeded already."""
        optimiser, scale = self.state.optimiser, self.state.scaler
        optimiser.zero_grad(set_to_none=True)
        with losses_told():
            loss = self.gradients.compute(batch, seed, scale.get("scale"))
        return loss, move(optimiser, self.clip, scale)


@dataclass(frozen=True, slots=True, eq=False)
class Stepper:
    """Takes steps: `learn` is a `Learning`, perhaps recorded and replayed. Built by `build_stepper`."""

    state: State
    learn: Learn
    settings: TrainingSettings
    seed: int

    def take(self, batch: Batch, factor: float) -> Step:
        """Count one step and take it, at a factor of the learning rate; the numbers of dropout belong to (seed, step).

        batch: this process's part of the global batch. Nothing here waits for the device.
        """
        state, settings = self.state, self.settings
        state.tally.step += 1
        number, rate = state.tally.step, settings.learning_rate * factor
        seed = int(stream(self.seed, "dropout", number).integers(2**63))
        torch.manual_seed(seed)
        state.network.train()
        set_rate(state.optimiser, rate)
        loss, norm = self.learn(batch, seed)
        move_average(state.average, state.network, number, settings.ema)
        scale = state.scaler.get("scale")
        return Step(number, rate, Later((loss, norm) if scale is None else (loss, norm, scale)))
