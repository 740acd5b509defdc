"""Charts as SVG text, made from numbers alone; colours and fonts come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup, escape

WIDTH = 760
LEFT, TOP, BOTTOM = 150, 8, 34
SMALL, LARGE = 2.6, 3.6
CROWD = 40
ROW = 72
REACH = 30.0
POINTS = 400


def dice_chart(regions: Mapping[str, Sequence[tuple[str, float]]]) -> Markup:
    """Draw the Dice of every case, one line of dots per region, over a box from quartile to quartile.

    regions: name -> (case, Dice in 0..1) pairs; a region without any says so. Each dot names its case when pointed at.
    """
    height = TOP + ROW * len(regions) + BOTTOM
    left, right = LEFT, WIDTH - 24
    low = _start([value for pairs in regions.values() for _, value in pairs])
    unit = f"Dice (the axis starts at {low:.1f})" if low else "Dice"
    body = [_grid(left, right, TOP, height - BOTTOM, ticks(low, 1.0, 5), (low, 1.0), unit)]
    for number, (name, pairs) in enumerate(regions.items()):
        middle = TOP + ROW * (number + 0.5)
        places = [(case, value, left + (value - low) / (1 - low) * (right - left)) for case, value in pairs]
        body.append(_text(left - 14, middle + 4, name, "end", "name"))
        body.append(_strip(sorted(places, key=lambda place: (place[1], place[0])), left, middle))
    title = "Dice of every held-out case, per region: " + ", ".join(regions)
    return _svg(height, title, body)


def curve_chart(
    steps: Sequence[float], values: Sequence[float], name: str, span: tuple[float, float] | None = None, smooth: int = 1
) -> Markup:
    """Draw one curve over the training steps: the values faint, their running mean over `smooth` of them strong.

    steps and values have the same length, at least one; `span` fixes the vertical range, else the data do.
    """
    height, left, right, top = 240, 56, 376, 22
    low, high = span or _range(values)
    across = (0.0, float(max(max(steps), 1)))
    place = _Place(across, (low, high), (left, right), (height - BOTTOM, top))
    body = [_grid(left, right, top, height - BOTTOM, ticks(*across, 4), across, "step")]
    for tick in ticks(low, high, 4):
        y = place.y(tick)
        body.append(Markup('<line class="rule" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(left, right, _n(y), _n(y)))
        body.append(_text(left - 8, y + 4, _tick(tick), "end", "tick"))
    body.append(_text(left, 12, name, "start", "name"))
    pairs = list(zip(steps, values, strict=True))
    if smooth > 1:
        body.append(_line(place, _thin(pairs), "faint"))
    body.append(_line(place, _thin(_smoothed(pairs, smooth)), "curve"))
    if len(pairs) <= CROWD:
        body.extend(_dot(place.x(x), place.y(y), LARGE, f"step {x:.0f}: {y:.4g}", "point") for x, y in pairs)
    return _svg(height, f"{name} over {across[1]:.0f} training steps", body, width=400)


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return about `count` round numbers from `low` to `high`, both ends included where they are round."""
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


class _Place:
    """Where values lie on the paper."""

    def __init__(
        self, across: tuple[float, float], up: tuple[float, float], xs: tuple[float, float], ys: tuple[float, float]
    ) -> None:
        self.across, self.up, self.xs, self.ys = across, up, xs, ys

    def x(self, value: float) -> float:
        share = (value - self.across[0]) / (self.across[1] - self.across[0])
        return self.xs[0] + share * (self.xs[1] - self.xs[0])

    def y(self, value: float) -> float:
        share = (value - self.up[0]) / (self.up[1] - self.up[0])
        return self.ys[0] + min(1.0, max(0.0, share)) * (self.ys[1] - self.ys[0])


def _start(values: Sequence[float]) -> float:
    """Return where the Dice axis starts: 0, or a round number below all values when those are high."""
    return max(0.0, math.floor(min(values, default=0.0) * 5 - 0.1) / 5)


def _strip(places: Sequence[tuple[str, float, float]], left: float, middle: float) -> Markup:
    """Draw (case, value, x) as dots over their box."""
    if not places:
        return _text(left + 12, middle + 4, "no case has a Dice here", "start", "tick")
    radius = LARGE if len(places) <= CROWD else SMALL
    xs = [x for _, _, x in places]
    low, median, high = np.percentile(xs, (25, 50, 75))
    box = Markup('<rect class="box" x="{}" y="{}" width="{}" height="36" rx="4"/>').format(
        _n(low), _n(middle - 18), _n(max(high - low, 1.5))
    )
    line = Markup('<line class="median" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(
        _n(median), _n(middle - 18), _n(middle + 18)
    )
    dots = [
        _dot(x, middle + rise, radius, f"{case}: {value:.3f}")
        for (case, value, x), rise in zip(places, _swarm(xs, radius), strict=True)
    ]
    return Markup("").join([box, line, *dots])


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


def _grid(
    left: float, right: float, top: float, bottom: float, values: Sequence[float], span: tuple[float, float], unit: str
) -> Markup:
    parts = []
    for value in values:
        x = _n(left + (value - span[0]) / (span[1] - span[0]) * (right - left))
        parts.append(Markup('<line class="rule" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(x, _n(top), _n(bottom)))
        parts.append(_text(float(x), bottom + 16, _tick(value), "middle", "tick"))
    parts.append(_text((left + right) / 2, bottom + 31, unit, "middle", "tick"))
    return Markup("").join(parts)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = (high - low) * 0.06 or abs(high) * 0.1 or 0.5
    return (low - pad if low < 0 else max(0.0, low - pad)), high + pad


def _smoothed(pairs: Sequence[tuple[float, float]], width: int) -> list[tuple[float, float]]:
    """Average each value with up to width-1 neighbours around it; the ends average fewer."""
    if width <= 1:
        return list(pairs)
    values = np.asarray([y for _, y in pairs], np.float64)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    first, last = np.maximum(0, places - width // 2), np.minimum(len(values), places + width // 2 + 1)
    means = (sums[last] - sums[first]) / (last - first)
    return [(x, float(m)) for (x, _), m in zip(pairs, means, strict=True)]


def _thin(pairs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    keep = np.unique(np.linspace(0, len(pairs) - 1, min(POINTS, len(pairs))).round().astype(int))
    return [pairs[i] for i in keep]


def _line(place: _Place, pairs: Sequence[tuple[float, float]], style: str) -> Markup:
    points = " ".join(f"{_n(place.x(x))},{_n(place.y(y))}" for x, y in pairs)
    return Markup('<polyline class="{}" points="{}"/>').format(style, points)


def _dot(x: float, y: float, radius: float, title: str, style: str = "dot") -> Markup:
    return Markup('<circle class="{}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>').format(
        style, _n(x), _n(y), radius, title
    )


def _text(x: float, y: float, words: str, anchor: str, style: str) -> Markup:
    return Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>').format(
        style, _n(x), _n(y), anchor, words
    )


def _svg(height: float, title: str, body: Sequence[Markup], width: int = WIDTH) -> Markup:
    inside = Markup("").join(body)
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, _n(height), escape(title), inside
    )


def _n(value: float) -> str:
    return f"{value:.1f}"


def _tick(value: float) -> str:
    return f"{value:.6g}"
