"""Which values of a measure are usual, learned from training scans without any belief about their distribution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medseg.ops.set_outliers import FEWEST, robust_spread
from medseg.values.settings import Settings
from medseg.values.volume import Array

_FEWEST_ALIKE = 3  # scans that make a group; fewer are outliers, which vouch for nobody
_SHARE_ALIKE = 0.01  # of the training set, in large sets
_STRAY = 0.05  # most outliers, as a share of the training set: where there are more, the measure has a heavy tail
_CLEAR_GAP = 8.0  # median distances of neighbours
_FEW = 12.0  # a spread that n scans show is taken 1 + 12 / n times as wide


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How finely a measure is judged, in its own unit (decades, for what is compared as a ratio).

    floor: differences below it mean nothing.  gap: groups of scans are at least so far apart.  gross: what is allowed
    beyond training scans where there are too few of them to say what is usual.
    """

    floor: float
    gap: float
    gross: float


class Span(Settings):
    """A group of training scans: its lowest and highest value, and what is taken for usual around them."""

    low: float
    high: float
    least: float
    most: float


class Usual(Settings):
    """A measure over the training scans: its median, and the groups it falls into, ascending."""

    middle: float
    spans: tuple[Span, ...]

    @property
    def low(self) -> float:
        """The lowest value of a group."""
        return self.spans[0].low

    @property
    def high(self) -> float:
        """The highest value of a group."""
        return self.spans[-1].high

    def excess(self, value: float) -> float:
        """Return how far a value is from the nearest group, with its sign; 0 where it is usual.

        The distance is that to the nearest training scan, which is more than what was allowed beyond it.
        """
        if any(span.least <= value <= span.most for span in self.spans):
            return 0.0
        distances = [value - edge for span in self.spans for edge in (span.low, span.high)]
        return min(distances, key=abs)


def usual_of(values: Array, tolerance: Tolerance) -> Usual:
    """Learn what is usual from the values (N,), N >= 1, of training scans.

    Values fall into groups where no two neighbours are far apart: scans of two scanners, say, whose units differ. A
    value is usual within a group or beyond it by at most its margin: its spread (the larger of the standard deviation
    and the scaled median absolute deviation), wider where few scans show it, or the distance by which the group's own
    last scan lies beyond the others, whichever is more; never less than the floor. So every training scan but those
    without a group would have been usual to the others, up to its own leave-one-out distance.
    With fewer than six scans only what is grossly different is unusual.
    """
    ordered = np.sort(np.asarray(values, np.float64))
    if len(ordered) < FEWEST:
        spans = [_span(ordered, tolerance.gross, tolerance.gross)]
    else:
        spans = [_learned(group, tolerance.floor) for group in _groups(ordered, tolerance.gap)]
    return Usual(middle=rounded(float(np.median(ordered))), spans=tuple(spans))


def widened(count: int) -> float:
    """Return by how much a spread that `count` scans show is widened, because they may show too little of it."""
    return 1 + _FEW / count


def rounded(value: float) -> float:
    """Keep six digits, which is more than any of it is known to."""
    return float(f"{value:.6g}")


def _groups(ordered: Array, gap: float) -> list[Array]:
    """Part ascending values where neighbours are `gap` apart, or more where most neighbours are far apart.

    Groups of one or two are outliers and left out; if they are more than a twentieth of all, the gap grows.
    """
    distances = np.diff(ordered)
    gap = max(gap, _CLEAR_GAP * float(np.median(distances)))
    fewest = max(_FEWEST_ALIKE, _SHARE_ALIKE * len(ordered))
    while True:
        groups = [part for part in np.split(ordered, np.flatnonzero(distances > gap) + 1) if len(part) >= fewest]
        if len(ordered) - sum(map(len, groups)) <= max(1.0, _STRAY * len(ordered)):
            return groups
        gap *= 2


def _learned(group: Array, floor: float) -> Span:
    _, robust = robust_spread(group[:, None], 0.0)
    margin = max(floor, max(float(robust[0]), float(group.std(ddof=1))) * widened(len(group)))
    return _span(group, max(margin, group[1] - group[0]), max(margin, group[-1] - group[-2]))


def _span(group: Array, below: float, above: float) -> Span:
    low, high = float(group[0]), float(group[-1])
    return Span(low=rounded(low), high=rounded(high), least=rounded(low - below), most=rounded(high + above))
