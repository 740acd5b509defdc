"""How far training is, and which learning rate belongs there: pure formulas."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, floor, pi

from medseg.engines.training.settings import TrainingSettings

POLY_POWER = 0.9


@dataclass(frozen=True, slots=True)
class Budget:
    """What training may cost: a number of steps, or seconds; exactly one of them is set."""

    steps: int | None
    seconds: float | None

    def share(self, steps: float, seconds: float) -> float:
        """Return the share of the budget used after `steps` (may be half a step) and `seconds`, in 0..1."""
        used = seconds / self.seconds if self.seconds is not None else steps / (self.steps or 1)
        return min(1.0, used)


def budget_of(settings: TrainingSettings) -> Budget:
    """Return the budget that the settings ask for."""
    return Budget(settings.step_budget, settings.seconds_budget)


def rate_factor(share: float, settings: TrainingSettings) -> float:
    """Return the learning rate at a share of the budget, as a factor in 0..1 of the highest one.

    It rises linearly over the warm-up and then falls to 0 over the rest (`constant` stays).
    Source: poly with power 0.9 as in nnU-Net; cosine of Loshchilov and Hutter 2017, without restarts.
    """
    if share < settings.warmup:
        return share / settings.warmup
    rest = (share - settings.warmup) / (1 - settings.warmup)
    if settings.schedule == "poly":
        return float((1 - rest) ** POLY_POWER)
    return 0.5 * (1 + cos(pi * rest)) if settings.schedule == "cosine" else 1.0


def validations_due(share: float, validations: int) -> int:
    """Return how many of `validations` should have happened at a share of the budget; all of them at the end."""
    return floor(share * validations + 1e-9)
