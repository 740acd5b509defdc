"""Ending early without a jump: the learning rate runs out over a tenth of the budget, and training with it."""

from __future__ import annotations

from dataclasses import dataclass

COOLING = 0.1  # share of the budget over which the learning rate falls to 0


@dataclass(frozen=True, slots=True)
class Cooling:
    """The end of a training that stops early: begun at `share` of the budget, with the learning rate's `factor`."""

    share: float
    factor: float

    @property
    def end(self) -> float:
        """Share of the budget at which training is over."""
        return self.share + COOLING

    def rate_factor(self, share: float) -> float:
        """Return the factor of the learning rate at a share of the budget: along a straight line to 0."""
        return self.factor * min(1.0, max(0.0, (self.end - share) / COOLING))


def gives_up(stale: int, patience: int | None, share: float) -> bool:
    """Return whether to cool down after `stale` validations in a row that brought no better Dice.

    In the last tenth of the budget there is nothing to win: the schedule ends as soon.
    """
    return patience is not None and stale >= patience and share + COOLING < 1.0
