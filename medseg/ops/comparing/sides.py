"""What is compared: runs, or several that differ only in their seed, and the scans that all of them have scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medseg.ops.comparing.measures import value_of
from medseg.ops.scoring.rows import Row
from medseg.ops.statistics.seeds import SeededRun, Spread, seeds_move, spread_of_runs

Scores = Mapping[tuple[str, str], Row]
"""The rows of one run, by case and region."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Scans that all runs have scored, in order, and what is true of each: its subject and its cohort."""

    cases: tuple[str, ...]
    subjects: tuple[str, ...]
    cohorts: tuple[str, ...]

    def only(self, cohort: str) -> Ground:
        """Return the scans of one cohort."""
        kept = [one for one in zip(self.cases, self.subjects, self.cohorts, strict=True) if one[2] == cohort]
        return Ground(*zip(*kept, strict=True)) if kept else Ground((), (), ())


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One run of a side: its rows, its seed, and its fold (None: split once)."""

    scores: Scores
    seed: int = 0
    fold: int | None = None

    def values(self, ground: Ground, region: str, measure: str) -> list[float | None]:
        """Return the value of each scan; a row that is not there is undefined."""
        return [value_of(self.scores.get((case, region), {}), measure) for case in ground.cases]


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One run under its name, or several runs of the same settings, no two with the same seed and fold."""

    name: str
    members: tuple[Member, ...]

    def values(self, ground: Ground, region: str, measure: str) -> list[float | None]:
        """Return the value of each scan, the mean over the runs; None where it is undefined in any of them."""
        columns = [member.values(ground, region, measure) for member in self.members]
        return [_mean(values) for values in zip(*columns, strict=True)]

    def spread(self, ground: Ground, region: str, measure: str) -> Spread:
        """Return how the mean over scans differs from run to run."""
        cases = ground.cases
        return spread_of_runs(
            [
                SeededRun(one.seed, one.fold, dict(zip(cases, one.values(ground, region, measure), strict=True)))
                for one in self.members
            ]
        )


def seeds_alone(first: Side, second: Side, ground: Ground, region: str, measure: str) -> float | None:
    """Return how far apart these sides would come to lie, 95 % of the time, were their settings the same.

    None where neither has two seeds on one fold.
    """
    several = [side.spread(ground, region, measure) for side in (first, second) if len(side.members) > 1]
    return seeds_move(several, len(first.members), len(second.members))


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if len(defined) == len(values) else None
