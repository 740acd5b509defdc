"""Distributions: one line of dots per region over its quartiles, or its density where dots would be too many."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from medseg.report.charts.paper import (
    BOTTOM,
    MANY,
    WIDTH,
    Axis,
    band,
    dot,
    grid_across,
    line,
    radius_of,
    rule,
    sheet,
    text,
)

LEFT, TOP = 150, 8
ROW = 72
REACH = 30.0
LOWEST = 12  # dots that are drawn beside a density
_SLICES = 120
_HALF_BOX = 18

Pairs = Sequence[tuple[str, float]]


def dice_chart(regions: Mapping[str, Pairs], name: str = "Dice") -> Markup:
    """Draw the Dice of every case, one line of dots per region, over a box from quartile to quartile.

    regions: name -> (case, Dice in 0..1) pairs; a region without any says so. Each dot names its case when pointed at.
    Of 250 cases and more the density is drawn, and dots for the twelve lowest. `name` is that of another share.
    """
    height = TOP + ROW * len(regions) + BOTTOM
    low = _start([value for pairs in regions.values() for _, value in pairs])
    axis = Axis(low, 1.0, LEFT, WIDTH - 24)
    unit = f"{name} (the axis starts at {low:.1f})" if low else name
    body = [grid_across(axis, TOP, height - BOTTOM, unit)]
    for number, (region, pairs) in enumerate(regions.items()):
        middle = TOP + ROW * (number + 0.5)
        body.append(text(LEFT - 14, middle + 4, region, "end", "name"))
        body.append(_strip(sorted(pairs, key=lambda pair: (pair[1], pair[0])), axis, middle))
    return sheet(height, f"{name} of every case, per region: {', '.join(regions)}", body)


def _start(values: Sequence[float]) -> float:
    """Return where the axis starts: 0, or a round number below all values when those are high."""
    return max(0.0, math.floor(min(values, default=0.0) * 5 - 0.1) / 5)


def _strip(pairs: Pairs, axis: Axis, middle: float) -> Markup:
    """Draw sorted (case, value) pairs as dots over their box."""
    if not pairs:
        return text(LEFT + 12, middle + 4, "no case has a Dice here", "start", "tick")
    many = len(pairs) >= MANY
    xs = [axis.at(value) for _, value in pairs]
    low, median, high = (float(x) for x in np.percentile(xs, (25, 50, 75)))
    half = _HALF_BOX / 2 if many else _HALF_BOX
    box = band(low, middle - half, max(high, low + 1.5), middle + half)
    parts = [_density(xs, axis, middle)] if many else []
    parts += [box, rule(median, middle - half, median, middle + half, "median")]
    shown = pairs[:LOWEST] if many else pairs
    radius = radius_of(len(pairs))
    rises = _swarm(xs[: len(shown)], radius)
    parts += [
        dot(x, middle + rise, radius, f"{case}: {value:.3f}", case=case)
        for (case, value), x, rise in zip(shown, xs, rises, strict=False)
    ]
    return Markup("").join(parts)


def _density(xs: Sequence[float], axis: Axis, middle: float) -> Markup:
    """Draw how many dots lie where, smoothed over three slices, as a shape around the middle."""
    counts, edges = np.histogram(xs, bins=_SLICES, range=(axis.first, axis.last))
    smooth = np.convolve(counts, (0.25, 0.5, 0.25), "same")
    heights = smooth / smooth.max() * REACH
    centres = (edges[:-1] + edges[1:]) / 2
    above = [(float(x), middle - float(h)) for x, h in zip(centres, heights, strict=True)]
    below = [(x, 2 * middle - y) for x, y in reversed(above)]
    return line([*above, *below], "density", "polygon")


def _swarm(xs: Sequence[float], radius: float) -> list[float]:
    """Push dots at sorted places apart, up and down in turn, so that (almost) none hides another."""
    steps = range(1, int(REACH / radius) + 1)
    offsets = [0.0] + [sign * step * radius for step in steps for sign in (-1, 1)]
    placed: list[tuple[float, float]] = []
    for x in xs:
        near = [(a, b) for a, b in placed[-60:] if x - a < 2 * radius]
        free = (o for o in offsets if all(math.hypot(x - a, o - b) >= 1.9 * radius for a, b in near))
        placed.append((x, next(free, 0.0)))
    return [rise for _, rise in placed]
