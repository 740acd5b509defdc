"""When validation scans are scored, and how many, so that it takes a bounded share of the time: decided first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

from medseg.engines.training.settings import TrainingSettings

EVENLY = 8  # validations over the budget where none are asked for
TIME_SHARE = 0.08  # of the training, leaving room below a tenth for what the model of the costs does not know
FORWARD = 1 / 3  # what a window costs, in patches of a training step: forward without backward


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of a training: steps taken, seconds spent, and the share of the budget that is used up, 0..1."""

    step: int
    seconds: float
    share: float


@dataclass(frozen=True, slots=True)
class Agenda:
    """How many `cases` one validation scores; only every `stride`-th point is taken, and the end always."""

    cases: int
    stride: int = 1

    def takes(self, point: int) -> bool:
        """Return whether scans are scored at a point, counted from 1."""
        return point % self.stride == 0


def points_passed(at: Moment, training: TrainingSettings) -> int:
    """Return how many of the points where a validation is due lie behind a moment, or at it."""
    if training.interval_steps is not None:
        return at.step // training.interval_steps
    if training.interval_seconds is not None:
        return floor(at.seconds / training.interval_seconds + 1e-9)
    return floor(_evenly(training) * at.share + 1e-9)


def _evenly(training: TrainingSettings) -> int:
    return min(EVENLY, training.step_budget or EVENLY)


def counts_steps(training: TrainingSettings) -> bool:
    """Return whether the points of all validations are known without a clock: the same ones after any break."""
    return training.step_budget is not None and training.interval_seconds is None


def counted_agenda(windows: Sequence[int], batch: int, training: TrainingSettings) -> Agenda:
    """Plan the validations of a training whose steps are counted, from counts alone: the clock has no say.

    windows: how many windows each case takes, in the order of scoring.  batch: patches of a step.
    """
    steps = training.step_budget or 1
    points = _evenly(training) if training.interval_steps is None else ceil(steps / training.interval_steps)
    costs = [FORWARD * count for count in windows[: training.validation_cases]]
    return fitted(costs, TIME_SHARE * steps * batch / points, points)


def timed_agenda(windows: Sequence[int], window_seconds: float, at: Moment, training: TrainingSettings) -> Agenda:
    """Plan the validations of a training that goes by the clock, at its first one.

    window_seconds: what one window is expected to take.
    """
    total = seconds_in_all(at, training)
    apart = total / EVENLY
    if training.interval_steps is not None:
        apart = training.interval_steps * at.seconds / max(at.step, 1)
    elif training.interval_seconds is not None:
        apart = training.interval_seconds
    costs = [window_seconds * count for count in windows[: training.validation_cases]]
    return fitted(costs, TIME_SHARE * min(apart, total))


def seconds_in_all(at: Moment, training: TrainingSettings) -> float:
    """Return what the training will take: its budget, or what the time so far lets expect."""
    return training.seconds_budget or at.seconds / max(at.share, 1e-9)


def fitted(costs: Sequence[float], allowance: float, points: int = 1) -> Agenda:
    """Plan as many of the first cases as cost no more than `allowance` at each of the points, one at least.

    Where the first one alone costs more, fewer points are taken: so many that all of them, with the last one, which
    always is, cost no more than was allowed together.
    """
    cases, total = 0, 0.0
    for cost in costs:
        total += cost
        if total > allowance and cases > 0:
            break
        cases += 1
    if not costs or costs[0] <= allowance:
        return Agenda(cases)
    taken = max(1, floor(points * allowance / costs[0]))
    return Agenda(cases, ceil(points / taken))


def affordable(spent: float, each: float, total: float) -> bool:
    """Return whether a validation that takes `each` seconds leaves time for the last one.

    spent: seconds of all validations so far.  total: seconds of the whole training.
    """
    return spent + 2 * each <= TIME_SHARE * total
