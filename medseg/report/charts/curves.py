"""Curves over training steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from medseg.report.charts.paper import BOTTOM, CROWD, HALF, LARGE, Axis, dot, grid_across, grid_up, line, sheet, span

POINTS = 400
HEIGHT, LEFT, RIGHT, TOP = 240, 56, 376, 22

Pairs = Sequence[tuple[float, float]]


def curve_chart(
    steps: Sequence[float], values: Sequence[float], name: str, ends: tuple[float, float] | None = None, smooth: int = 1
) -> Markup:
    """Draw one curve over the training steps: the values faint, their running mean over `smooth` of them strong.

    steps and values have the same length, at least one; `ends` fixes the vertical range, else the data do.
    """
    across = Axis(0.0, float(max(max(steps), 1)), LEFT, RIGHT)
    up = Axis(*(ends or span(values)), HEIGHT - BOTTOM, TOP)
    body = [grid_across(across, TOP, HEIGHT - BOTTOM, "step", 4), grid_up(up, LEFT, RIGHT, name)]
    pairs = list(zip(steps, values, strict=True))
    if smooth > 1:
        body.append(_drawn(_thin(pairs), across, up, "faint"))
    body.append(_drawn(_thin(_smoothed(pairs, smooth)), across, up, "curve"))
    if len(pairs) <= CROWD:
        body.extend(dot(across.at(x), up.at(y), LARGE, f"step {x:.0f}: {y:.4g}", "point") for x, y in pairs)
    return sheet(HEIGHT, f"{name} over {across.high:.0f} training steps", body, HALF)


def _drawn(pairs: Pairs, across: Axis, up: Axis, style: str) -> Markup:
    return line([(across.at(x), up.at(y)) for x, y in pairs], style)


def _smoothed(pairs: Pairs, width: int) -> Pairs:
    """Average each value with up to width-1 neighbours around it; the ends average fewer."""
    if width <= 1:
        return list(pairs)
    values = np.asarray([y for _, y in pairs], np.float64)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    first, last = np.maximum(0, places - width // 2), np.minimum(len(values), places + width // 2 + 1)
    means = (sums[last] - sums[first]) / (last - first)
    return [(x, float(m)) for (x, _), m in zip(pairs, means, strict=True)]


def _thin(pairs: Pairs) -> Pairs:
    keep = np.unique(np.linspace(0, len(pairs) - 1, min(POINTS, len(pairs))).round().astype(int))
    return [pairs[i] for i in keep]
