"""How far training is, and which learning rate belongs there: pure formulas."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi

from medseg.engines.training.settings import TrainingSettings

POLY_POWER = 0.9
CYCLE_START = 1 / 25
CYCLE_END = CYCLE_START / 10_000


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

    It rises linearly over the warm-up and then falls to 0 over the rest (`constant` stays). One cycle rises along a
    cosine from 1/25 of the highest rate and falls along another one to 1/10000 of where it began.
    Source: poly with power 0.9 as in nnU-Net; cosine of Loshchilov and Hutter 2017, without restarts; one cycle of
    Smith and Topin 2018, arXiv:1708.07120, in its later form of two phases, with the momentum left alone.
    """
    rise, cycle = settings.rise, settings.schedule == "one_cycle"
    if share < rise:
        return _eased(CYCLE_START, 1.0, share / rise) if cycle else share / rise
    rest = (share - rise) / (1 - rise)
    match settings.schedule:
        case "poly":
            return float((1 - rest) ** POLY_POWER)
        case "cosine":
            return _eased(1.0, 0.0, rest)
        case "one_cycle":
            return _eased(1.0, CYCLE_END, rest)
        case "constant":
            return 1.0


def _eased(start: float, end: float, share: float) -> float:
    """Return the way from start to end along half a cosine."""
    return end + (start - end) * 0.5 * (1 + cos(pi * share))
