"""What charts are drawn with: axes, round numbers, text, dots and lines, and the SVG around them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH = 760  # of a chart as wide as the page
HALF = 400  # of one of two side by side
BOTTOM = 34  # room below a chart for the numbers and the name of its axis
SMALL, LARGE = 2.6, 3.6
CROWD = 40  # from here on dots are small
MANY = 250  # from here on there are too many to be told apart
_MARGIN = 0.06
Ends = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """Where the values of `low..high` lie between the pixels `first` and `last`; others lie on the nearer end.

    low < high. `log` is for values above 0 only.
    """

    low: float
    high: float
    first: float
    last: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return the pixel of a value."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log10(low), math.log10(high), math.log10(max(value, low))
        share = min(1.0, max(0.0, (value - low) / (high - low)))
        return self.first + share * (self.last - self.first)

    def ticks(self, amount: int = 5) -> list[float]:
        """Return about `amount` round numbers on the axis."""
        return log_ticks(self.low, self.high) if self.log else ticks(self.low, self.high, amount)


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return about `count` round numbers from `low` to `high`, both ends included where they are round."""
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2, 5 of each power of ten from `low` to `high` (above 0); of more than two powers only the 1.

    Where these are fewer than two, other round numbers.
    """
    parts = (1, 2, 5) if high / low <= 150 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [float(f"{m}e{power}") for power in powers for m in parts]
    found = [value for value in values if low * 0.999 <= value <= high * 1.001]
    return found if len(found) > 1 else ticks(low, high, 5)


def span(values: Iterable[float]) -> tuple[float, float]:
    """Return a range that holds all values (at least one) with some air; it starts at 0 where none is below."""
    found = list(values)
    low, high = min(found), max(found)
    pad = (high - low) * _MARGIN or abs(high) * 0.1 or 0.5
    return (low - pad if low < 0 else max(0.0, low - pad)), high + pad


def log_span(values: Iterable[float]) -> tuple[float, float]:
    """Return a range that holds all values (above 0, at least one) with some air on a logarithmic axis."""
    found = list(values)
    return min(found) / 1.35, max(found) * 1.35


def grid_across(axis: Axis, top: float, bottom: float, name: str, amount: int = 5) -> Markup:
    """Draw the lines of a horizontal axis from `top` to `bottom`, its numbers, and its name below."""
    parts = []
    for value in axis.ticks(amount):
        x = axis.at(value)
        parts.append(rule(x, top, x, bottom))
        parts.append(text(x, bottom + 16, tick(value), "middle", "tick"))
    parts.append(text((axis.first + axis.last) / 2, bottom + 31, name, "middle", "tick"))
    return Markup("").join(parts)


def grid_up(axis: Axis, left: float, right: float, name: str, amount: int = 4) -> Markup:
    """Draw the lines of a vertical axis from `left` to `right`, its numbers, and its name above."""
    parts = [text(left, axis.last - 10, name, "start", "name")]
    for value in axis.ticks(amount):
        y = axis.at(value)
        parts += [rule(left, y, right, y), text(left - 8, y + 4, tick(value), "end", "tick")]
    return Markup("").join(parts)


def rule(x1: float, y1: float, x2: float, y2: float, style: str = "rule") -> Markup:
    """Draw a straight line."""
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(style, *map(pixels, (x1, y1, x2, y2)))


def band(x1: float, y1: float, x2: float, y2: float, style: str = "box") -> Markup:
    """Draw a rectangle between two corners, at least a pixel and a half wide and high."""
    left, top = min(x1, x2), min(y1, y2)
    wide, high = max(abs(x2 - x1), 1.5), max(abs(y2 - y1), 1.5)
    words = Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>')
    return words.format(style, *map(pixels, (left, top, wide, high)))


def line(points: Sequence[tuple[float, float]], style: str, shape: str = "polyline") -> Markup:
    """Draw a line through points that are pixels; as a `polygon` it is closed."""
    places = " ".join(f"{pixels(x)},{pixels(y)}" for x, y in points)
    return Markup('<{0} class="{1}" points="{2}"/>').format(shape, style, places)


def dot(x: float, y: float, radius: float, words: str, style: str = "dot", case: str = "") -> Markup:
    """Draw a dot that says `words` when pointed at; one of a `case` opens it when clicked."""
    opens = Markup(' data-open="{}"').format(case) if case else ""
    return Markup('<circle class="{}" cx="{}" cy="{}" r="{}"{}><title>{}</title></circle>').format(
        style, pixels(x), pixels(y), f"{radius:g}", opens, words
    )


def radius_of(amount: int) -> float:
    """Return how large each of so many dots is."""
    return LARGE if amount <= CROWD else SMALL


def level_line(across: Ends, up: Axis, value: float, interval: Ends | None, style: str) -> Markup:
    """Draw the line of a value between the pixels `across`, over the band of its interval (None: not known)."""
    first, last = across
    y = up.at(value)
    drawn = rule(first, y, last, y, style)
    if interval is None:
        return drawn
    low, high = interval
    return band(first, up.at(low), last, up.at(high), "between") + drawn


def text(x: float, y: float, words: str, anchor: str, style: str) -> Markup:
    """Write words; `anchor` says whether x is their start, middle or end."""
    return Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>').format(
        style, pixels(x), pixels(y), anchor, words
    )


def sheet(height: float, title: str, body: Sequence[Markup], width: int = WIDTH) -> Markup:
    """Put the parts of a chart into one SVG; `title` tells those who cannot see it what it shows."""
    inside = Markup("").join(body)
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, pixels(height), escape(title), inside
    )


def pixels(value: float) -> str:
    """Write a place on the paper, to a tenth of a pixel."""
    return f"{value:.1f}"


def tick(value: float) -> str:
    """Write a number beside an axis."""
    return f"{value:.6g}".replace("-", "\N{MINUS SIGN}")
