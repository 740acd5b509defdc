"""What a list of per-case values comes to: mean, spread, interval, median, and how many are undefined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medseg.ops.statistics.intervals import Interval, mean_interval
from medseg.ops.statistics.kinds import ANY, Kind
from medseg.values.volume import Array, FloatArray


@dataclass(frozen=True, slots=True)
class Summary:
    """Mean, spread and 95 % interval of `n` defined values; `undefined` counts the others.

    Without a defined value everything but the counts is None; `sd` needs two values, `ci95` five subjects. The median
    has no interval: the bootstrap fails for medians.
    """

    mean: float | None
    sd: float | None
    ci95: Interval
    median: float | None
    n: int
    undefined: int


def summarise_values(
    values: Sequence[float | None], subjects: Sequence[str], seed: int, *name: str | int, kind: Kind = ANY
) -> Summary:
    """Summarise per-case values, None being undefined; the order of the cases does not matter.

    `subjects` are the bootstrap's clusters, one per value; `name` names its random stream; `kind` bounds the interval.
    """
    found, clusters = defined(values, subjects)
    if found.size == 0:
        return Summary(None, None, (None, None), None, 0, len(values))
    spread = float(np.std(found, ddof=1)) if found.size > 1 else None
    interval = mean_interval(found, clusters, seed, *name, within=kind.within, either_side=kind.low < 0)
    return Summary(
        float(np.mean(found)), spread, interval, float(np.median(found)), found.size, len(values) - found.size
    )


def defined(values: Sequence[float | None], subjects: Sequence[str]) -> tuple[FloatArray, Array]:
    """Return the defined values and their subjects, in an order that depends on nothing but themselves."""
    pairs = sorted((s, v) for v, s in zip(values, subjects, strict=True) if v is not None)
    return np.array([v for _, v in pairs], np.float64), np.array([s for s, _ in pairs], object)
