"""What differs between two sides, per region and measure, and on healthy scans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from medseg.ops.comparing.measures import compared_in, compared_kind
from medseg.ops.comparing.sides import Ground, Side, seeds_alone
from medseg.ops.statistics.kinds import Kind
from medseg.ops.statistics.paired import Comparison, compare_paired

ILL, WELL = "tumour", "healthy"
# On a healthy scan all that is marked is false, and less of it is better.
_MARKED, _FALSE = "volume_predicted_ml", Kind(0, inf, "lower")
Means = tuple[float | None, float | None]
Differences = Mapping[str, "Difference"]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a pair is compared on: the scans, the regions, which of them is the tumour; `seed` draws the intervals."""

    ground: Ground
    regions: tuple[str, ...]
    tumour: str
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """Second minus first in one measure; of an error of volume, its size is compared.

    means: of each side over the scans where both have a value.  only_first, only_second: scans where only that side
    has one; they are among the undefined.  p_holm: after Holm over all pairs of sides.  seeds_alone: how far apart two
    sides of equal settings may lie by their seeds alone, 95 % of the time; None where no side has two runs.
    """

    kind: Kind
    found: Comparison
    means: Means
    only_first: int
    only_second: int
    p_holm: float | None
    seeds_alone: float | None = None

    @property
    def is_told(self) -> bool:
        """Whether any side has a value on any scan."""
        return bool(self.found.n or self.only_first or self.only_second)


@dataclass(frozen=True, slots=True)
class HealthyScans:
    """Scans without tumour: on how many of the `n` each side marks nothing (a mean over its runs; a failed one never).

    `false_ml`: the volume that is marked there, all of it false.
    """

    n: int
    clean: tuple[float, float]
    false_ml: Difference


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sides, and what differs: by region and measure over all scans; the tumour region's on scans with tumour.

    A measure without a value on either side is left out. `healthy` is None without healthy scans.
    """

    first: str
    second: str
    regions: Mapping[str, Differences]
    tumour: Differences
    healthy: HealthyScans | None


def compare_sides(first: Side, second: Side, scope: Scope) -> Pair:
    """Compare two sides on the scans of the scope; `p_holm` is that of a single pair, see `corrected`.

    The random streams of the intervals know neither names nor order of the sides: turned round, every sign is.
    """
    ill = replace(scope, ground=scope.ground.only(ILL))
    regions = {region: _measured(first, second, scope, region) for region in scope.regions}
    tumour = regions.get(scope.tumour, {})
    if tumour and ill.ground != scope.ground:
        tumour = _measured(first, second, ill, scope.tumour)
    return Pair(first.name, second.name, regions, tumour, _healthy(first, second, scope))


def _measured(first: Side, second: Side, scope: Scope, region: str) -> dict[str, Difference]:
    found = {
        measure: _difference((first, second), scope, (region, measure), compared_kind(measure))
        for measure in compared_in(region)
    }
    return {measure: one for measure, one in found.items() if one.is_told}


def _difference(sides: tuple[Side, Side], scope: Scope, cell: tuple[str, str], kind: Kind) -> Difference:
    """Compare two sides in one measure of one region."""
    first, second = (side.values(scope.ground, *cell) for side in sides)
    pairs = list(zip(first, second, strict=True))
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    found = compare_paired(first, second, scope.ground.subjects, scope.seed, "compare", *cell, kind=kind)
    return Difference(
        kind=kind,
        found=found,
        means=(_mean([a for a, _ in both]), _mean([b for _, b in both])),
        only_first=sum(a is not None and b is None for a, b in pairs),
        only_second=sum(a is None and b is not None for a, b in pairs),
        p_holm=found.p,
        seeds_alone=seeds_alone(*sides, scope.ground, *cell),
    )


def _healthy(first: Side, second: Side, scope: Scope) -> HealthyScans | None:
    well = replace(scope, ground=scope.ground.only(WELL))
    if not well.ground.cases or scope.tumour not in scope.regions:
        return None
    clean = (_clean(first, well), _clean(second, well))
    marked = _difference((first, second), well, (scope.tumour, _MARKED), _FALSE)
    return HealthyScans(len(well.ground.cases), clean, marked)


def _clean(side: Side, well: Scope) -> float:
    """Count the healthy scans in which nothing is marked, the mean over the runs of a side."""
    marked = [member.values(well.ground, well.tumour, _MARKED) for member in side.members]
    return float(np.mean([sum(value == 0 for value in values) for values in marked]))


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(sorted(values))) if values else None
