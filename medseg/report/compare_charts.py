"""Two values per scan: lines from one to the other, and what changed over how good both are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from medseg.report.charts.paper import (
    BOTTOM,
    CROWD,
    HALF,
    Axis,
    dot,
    grid_across,
    grid_up,
    level_line,
    line,
    pixels,
    radius_of,
    rule,
    sheet,
    span,
    text,
)

HEIGHT, TOP = 340, 30
_FIRST, _SECOND = 130, 310  # where the values of the two sides stand
_LEFT, _RIGHT = 62, 390
_LONGEST = 24


@dataclass(frozen=True, slots=True)
class Change:
    """A scan with its value on both sides; `gain` is above 0 where the second is better."""

    case: str
    first: float
    second: float
    gain: float
    words: str
    failed: bool = False

    @property
    def style(self) -> str:
        """How it is drawn: gained, lost or same."""
        return "gained" if self.gain > 0 else "lost" if self.gain < 0 else "same"


def slope_chart(changes: Sequence[Change], names: tuple[str, str], measure: str) -> Markup:
    """Draw a line per scan from its first to its second value, and a strong one for the means; at least one scan."""
    up = Axis(*_ends([value for one in changes for value in (one.first, one.second)]), HEIGHT - BOTTOM, TOP)
    body = [grid_up(up, _LEFT, _RIGHT, measure)]
    ordered = sorted(changes, key=lambda one: (one.gain < 0, abs(one.gain), one.case))
    body += [_slope(one, up, len(changes)) for one in ordered]
    means = [sum(values) / len(changes) for values in ([c.first for c in changes], [c.second for c in changes])]
    body.append(line([(_FIRST, up.at(means[0])), (_SECOND, up.at(means[1]))], "mean"))
    body += [_foot(4, names[0], "start"), _foot(HALF - 4, names[1], "end")]
    title = f"{measure} of every scan in {names[0]} and in {names[1]}, one line per scan"
    return sheet(HEIGHT, title, body, HALF)


def change_chart(changes: Sequence[Change], level: tuple[float, float | None, float | None], measure: str) -> Markup:
    """Draw second minus first (y) over the mean of both (x), one dot per scan; at least one scan.

    level: the mean difference and the ends of its interval, None where there is none.
    Source: Bland and Altman 1986, doi:10.1016/S0140-6736(86)90837-8.
    """
    mean, low, high = level
    across = Axis(*_ends([(one.first + one.second) / 2 for one in changes]), _LEFT, _RIGHT)
    heights = [0.0, mean, *(one.second - one.first for one in changes)]
    reach = max(abs(value) for value in heights) * 1.08 or 0.05
    up = Axis(max(-reach, min(heights) - 0.12 * reach), min(reach, max(heights) + 0.12 * reach), HEIGHT - BOTTOM, TOP)
    body = [grid_across(across, TOP, HEIGHT - BOTTOM, f"mean of both, {measure}", 4)]
    body += [grid_up(up, _LEFT, _RIGHT, "second minus first"), rule(_LEFT, up.at(0), _RIGHT, up.at(0), "nought")]
    known = None if low is None or high is None else (low, high)
    body.append(level_line((_LEFT, _RIGHT), up, mean, known, "bias"))
    radius = radius_of(len(changes))
    for one in sorted(changes, key=lambda one: (one.failed, one.case)):
        x, y = across.at((one.first + one.second) / 2), up.at(one.second - one.first)
        body.append(dot(x, y, radius, one.words, "failed" if one.failed else f"{one.style}-dot"))
    return sheet(HEIGHT, f"Change of {measure} over the mean of both, one dot per scan", body, HALF)


def _slope(one: Change, up: Axis, total: int) -> Markup:
    words = Markup('<g class="{}{}"><title>{}</title>{}</g>')
    ends = ((_FIRST, up.at(one.first)), (_SECOND, up.at(one.second)))
    drawn = Markup('<line x1="{}" y1="{}" x2="{}" y2="{}"/>').format(*(pixels(place) for end in ends for place in end))
    radius = radius_of(total)
    dots = [Markup('<circle cx="{}" cy="{}" r="{}"/>').format(pixels(x), pixels(y), f"{radius:g}") for x, y in ends]
    return words.format(one.style, "" if total <= CROWD else " crowd", one.words, Markup("").join([drawn, *dots]))


def _foot(x: float, name: str, anchor: str) -> Markup:
    short = name if len(name) <= _LONGEST else f"{name[:12]}\N{HORIZONTAL ELLIPSIS}{name[-11:]}"
    return text(x, HEIGHT - BOTTOM + 20, short, anchor, "side")


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Return a range with some air around the values; shares do not reach beyond 1."""
    low, high = span(values)
    return (low, min(high, 1.02)) if min(values) >= 0 and max(values) <= 1 else (low, high)
