"""Which cases the report shows as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Group:
    """A heading and the cases to show under it, in order."""

    heading: str
    cases: tuple[str, ...]


def choose(rows: Sequence[Row], region: str, drawable: Sequence[str], amount: int) -> list[Group]:
    """Choose the worst, median and best `amount` cases by the region's Dice, and every false alarm, largest first.

    rows: scores of all cases and regions; `drawable` are the cases that have a prediction. No case comes twice;
    with few cases the groups shrink, and an `amount` of 0 shows nothing. Healthy scans without a false voxel are not
    shown, nor are scans in which nobody looked for the region.
    """
    if amount == 0:
        return []
    shown = set(drawable)
    own = [row for row in rows if row["region"] == region and row["case"] in shown]
    ranked = sorted((_number(row, "dice"), str(row["case"])) for row in own if row["cohort"] == "tumour")
    alarms = sorted(
        (-_number(row, "volume_predicted_ml"), str(row["case"])) for row in own if row["cohort"] == "healthy"
    )
    worst, median, best = thirds([case for _, case in ranked], amount)
    groups = [
        Group(_heading("worst", worst), worst),
        Group(_heading("median", median), median),
        Group(_heading("best", best), best[::-1]),
        Group("False alarms on healthy scans", tuple(case for volume, case in alarms if volume < 0)),
    ]
    return [group for group in groups if group.cases]


def thirds(ranked: Sequence[str], amount: int) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Take at most `amount` from the start, the middle and the end of a ranking, without overlap."""
    low = min(amount, (len(ranked) + 2) // 3)
    high = min(amount, (len(ranked) + 1) // 3)
    between = ranked[low : len(ranked) - high]
    start = (len(between) - min(amount, len(between))) // 2
    return tuple(ranked[:low]), tuple(between[start : start + amount]), tuple(ranked[len(ranked) - high :])


def _heading(which: str, cases: Sequence[str]) -> str:
    return f"The {which} scan" if len(cases) == 1 else f"The {len(cases)} {which} scans"


def _number(row: Row, column: str) -> float:
    value = row[column]
    return float(value) if isinstance(value, (int, float)) else 0.0
