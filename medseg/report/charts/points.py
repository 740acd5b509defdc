"""One point per case: Dice against the size of the lesion, and how far volumes are off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from medseg.report.charts.paper import (
    BOTTOM,
    HALF,
    MANY,
    Axis,
    dot,
    grid_across,
    grid_up,
    level_line,
    log_span,
    radius_of,
    rule,
    sheet,
    span,
    text,
)

HEIGHT, LEFT, RIGHT, TOP = 280, 56, 390, 26
_LABEL_GAP = 13


@dataclass(frozen=True, slots=True)
class Point:
    """A case on a chart: where it lies, what it says when pointed at, and whether its prediction failed."""

    case: str
    x: float
    y: float
    words: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line at a value, its name, and the interval around it (None: not known)."""

    name: str
    value: float
    interval: tuple[float, float] | None = None
    main: bool = False

    @property
    def style(self) -> str:
        """How its line is drawn."""
        return "bias" if self.main else "limit"


def size_chart(points: Sequence[Point], region: str) -> Markup:
    """Draw Dice (y, 0..1) against the true volume in ml (x, above 0, logarithmic), at least one point."""
    across = Axis(*log_span(point.x for point in points), LEFT, RIGHT, log=True)
    up = Axis(0.0, 1.0, HEIGHT - BOTTOM, TOP)
    body = [grid_across(across, TOP, HEIGHT - BOTTOM, f"true volume of {region}, ml, logarithmic")]
    body += [grid_up(up, LEFT, RIGHT, f"Dice of {region}"), *_dots(points, across, up)]
    return sheet(HEIGHT, f"Dice of {region} against its true volume, one point per case", body, HALF)


def difference_chart(points: Sequence[Point], levels: Sequence[Level], region: str) -> Markup:
    """Draw a Bland-Altman chart: predicted minus true volume (y, ml) over the mean of both (x, ml), at least one point.

    Source: Bland and Altman 1986, doi:10.1016/S0140-6736(86)90837-8.
    """
    across = Axis(*span(point.x for point in points), LEFT, RIGHT)
    heights = [0.0, *(point.y for point in points), *(level.value for level in levels)]
    low, high = span(heights)
    up = Axis(min(low, -0.1 * high), high, HEIGHT - BOTTOM, TOP)
    body = [grid_across(across, TOP, HEIGHT - BOTTOM, "mean of true and predicted volume, ml")]
    body.append(grid_up(up, LEFT, RIGHT, f"{region}: predicted \N{MINUS SIGN} true, ml"))
    body.append(rule(LEFT, up.at(0), RIGHT, up.at(0), "nought"))
    body += [level_line((LEFT, RIGHT), up, one.value, one.interval, one.style) for one in levels]
    body += _dots(points, across, up)
    body += _names(levels, up)
    title = f"Predicted minus true volume of {region} against their mean, one point per case"
    return sheet(HEIGHT, title, body, HALF)


def _dots(points: Sequence[Point], across: Axis, up: Axis) -> list[Markup]:
    radius = radius_of(len(points))
    plain = "point" if len(points) < MANY else "point many"
    ordered = sorted(points, key=lambda point: (point.failed, point.x, point.case))
    return [dot(across.at(p.x), up.at(p.y), radius, p.words, "failed" if p.failed else plain, p.case) for p in ordered]


def _names(levels: Sequence[Level], up: Axis) -> list[Markup]:
    """Write the names of lines at the right end above them, pushed apart where they would cover one another."""
    found, last = [], up.first + _LABEL_GAP
    for level in sorted(levels, key=lambda one: one.value):
        y = min(up.at(level.value) - 4, last - _LABEL_GAP)
        found.append(text(RIGHT, y, level.name, "end", "tick halo"))
        last = y
    return found
