"""Whether probabilities mean what they say, and what finding more lesions costs in false ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from medseg.report.charts.paper import BOTTOM, HALF, Axis, band, dot, grid_across, grid_up, line, rule, sheet, text

HEIGHT, LEFT, RIGHT, TOP = 320, 56, 360, 26
_TRAY = 46  # height of the bars that count answers
_FROC_HEIGHT = 280
_FEWEST, _MOST = 0.125, 8.0  # false lesions per scan


@dataclass(frozen=True, slots=True)
class Bins:
    """Answers by how sure they are: how many, their mean confidence, and the share that is right; all of one length."""

    name: str
    answers: Sequence[int]
    confidence: Sequence[float]
    right: Sequence[float]
    faint: bool = False


def reliability_chart(series: Sequence[Bins], name: str) -> Markup:
    """Draw the share of right answers against how sure they are, beside the line of perfect honesty.

    Bars below count the answers of the last series on a linear scale; empty bins are left out.
    Source: Guo et al. 2017, arXiv:1706.04599.
    """
    floor = HEIGHT - BOTTOM - _TRAY - 8
    across, up = Axis(0.0, 1.0, LEFT, RIGHT), Axis(0.0, 1.0, floor, TOP)
    body = [grid_across(across, TOP, HEIGHT - BOTTOM, "how sure (probability)"), grid_up(up, LEFT, RIGHT, name, 5)]
    body.append(rule(across.at(0), up.at(0), across.at(1), up.at(1), "ideal"))
    body += [part for one in series for part in _steps(one, across, up)]
    if series:
        body.append(_tray(series[-1], across))
    return sheet(HEIGHT, f"{name} against how sure the answers are: {', '.join(s.name for s in series)}", body, HALF)


def froc_chart(thresholds: Sequence[float], false: Sequence[float], found: Sequence[float], region: str) -> Markup:
    """Draw the share of lesions found (y, 0..1) over false lesions per scan (x, logarithmic from 1/8 to 8).

    One point for each threshold, joined in their order, because the curve may turn back. Points beyond the ends of the
    axis lie on them.
    """
    across = Axis(_FEWEST, _MOST, LEFT, RIGHT, log=True)
    up = Axis(0.0, 1.0, _FROC_HEIGHT - BOTTOM, TOP)
    places = [(across.at(x), up.at(y)) for x, y in zip(false, found, strict=True)]
    body = [
        _doublings(across, TOP, _FROC_HEIGHT - BOTTOM),
        grid_up(up, LEFT, RIGHT, "share found"),
        line(places, "curve"),
    ]
    for (x, y), threshold, share, alarms in zip(places, thresholds, found, false, strict=True):
        words = f"at {threshold:g}: {share:.3f} found, {alarms:.3g} false per scan"
        body.append(dot(x, y, 3, words, "point"))
    return sheet(_FROC_HEIGHT, f"Share of {region} lesions found against false ones per scan", body, HALF)


def _steps(one: Bins, across: Axis, up: Axis) -> list[Markup]:
    bins = zip(one.answers, one.confidence, one.right, strict=True)
    kept = [(amount, across.at(sure), up.at(right), sure, right) for amount, sure, right in bins if amount]
    style = "before" if one.faint else "curve"
    said = f"{one.name}: answers that are {{:.3f}} sure are right in {{:.3f}} ({{}} voxels)"
    dots = [dot(x, y, 3, said.format(sure, right, n), f"{style}-point") for n, x, y, sure, right in kept]
    return [line([(x, y) for _, x, y, _, _ in kept], style), *dots]


def _tray(one: Bins, across: Axis) -> Markup:
    """Draw how many answers each bin of the axis holds."""
    most, floor = max(*one.answers, 1), HEIGHT - BOTTOM
    edges = [across.at(i / len(one.answers)) for i in range(len(one.answers) + 1)]
    bars = [
        band(edges[i] + 1, floor - amount / most * _TRAY, edges[i + 1] - 1, floor, "bar")
        for i, amount in enumerate(one.answers)
        if amount
    ]
    return Markup("").join([*bars, text(LEFT - 8, floor - _TRAY / 2 + 4, "voxels", "end", "tick")])


def _doublings(axis: Axis, top: float, bottom: float) -> Markup:
    """Draw the grid of the axis that doubles from 1/8 to 8."""
    names = {0.125: "1/8", 0.25: "1/4", 0.5: "1/2", 1: "1", 2: "2", 4: "4", 8: "8"}
    parts = [rule(axis.at(v), top, axis.at(v), bottom) for v in names]
    parts += [text(axis.at(v), bottom + 16, name, "middle", "tick") for v, name in names.items()]
    parts.append(
        text((axis.first + axis.last) / 2, bottom + 31, "false lesions per scan, logarithmic", "middle", "tick")
    )
    return Markup("").join(parts)
