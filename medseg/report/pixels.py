"""From brightness and colour numbers to a picture with a palette, and to PNG bytes."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from medseg.values.volume import Array

# Okabe and Ito's palette, which people with colour-blind eyes can tell apart.
COLOURS = RIGHT, MISSED, FALSE = (86, 180, 233), (240, 228, 66), (213, 94, 0)
FILL = 0.6
LEVELS = (136, 40, 40, 40)  # shades of grey and of every colour: 256 together, one palette
SIDE = 300
GAP = 6
LETTER = 19
BARS_MM = (200, 100, 50, 20, 10, 5, 2, 1)
LONGEST_BAR = 0.3  # of the side
_INK = 225


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around a slice: letters on its left, right, top and bottom edge, its side in pixels, and its scale.

    pixels_per_mm: where it is known, a bar in the lower left corner says how long a length is.
    """

    edges: tuple[str, str, str, str]
    side: int = SIDE
    pixels_per_mm: float | None = None


def frame(bright: Array, colour: Array, around: Frame) -> Image.Image:
    """Centre a painted slice on a black square and write around it what is to be known.

    bright, colour: (rows, columns) uint8, see `COLOURS`: 0 is plain grey, 1 right, 2 missed, 3 false.
    """
    side = around.side
    corner = (side - bright.shape[1]) // 2, (side - bright.shape[0]) // 2
    square, colours = Image.new("L", (side, side)), Image.new("L", (side, side))
    square.paste(Image.fromarray(bright), corner)
    colours.paste(Image.fromarray(colour), corner)
    draw, flat = ImageDraw.Draw(square), ImageDraw.Draw(colours)
    font = ImageFont.load_default(LETTER * side / SIDE)
    middle, far = side / 2, side - 4
    places = ((4, middle, "lm"), (far, middle, "rm"), (middle, 3, "ma"), (middle, far, "md"))
    for letter, (x, y, anchor) in zip(around.edges, places, strict=True):
        draw.text((x, y), letter, fill=_INK, font=font, anchor=anchor, stroke_width=1, stroke_fill=0)
    if around.pixels_per_mm is not None:
        _draw_bar(draw, flat, side, around.pixels_per_mm)
    return _indexed(np.asarray(square), np.asarray(colours))


def bar_mm(side: int, pixels_per_mm: float) -> int | None:
    """Return the longest round length in mm whose bar fits, None where even 1 mm is too long."""
    return next((mm for mm in BARS_MM if mm * pixels_per_mm <= LONGEST_BAR * side), None)


def _draw_bar(draw: ImageDraw.ImageDraw, colours: ImageDraw.ImageDraw, side: int, pixels_per_mm: float) -> None:
    """Draw a bar of a round length into the lower left corner, with its length above it, on a black rim."""
    length = bar_mm(side, pixels_per_mm)
    if length is None:
        return
    left, low = 8, side - 8
    right = left + max(1, round(length * pixels_per_mm)) - 1
    colours.rectangle((left - 2, low - 4, right + 2, low + 2), fill=0)
    draw.rectangle((left - 2, low - 4, right + 2, low + 2), fill=0)
    draw.rectangle((left, low - 2, right, low), fill=_INK)
    font = ImageFont.load_default(0.7 * LETTER * side / SIDE)
    draw.text((left, low - 5), f"{length} mm", fill=_INK, font=font, anchor="ld", stroke_width=1, stroke_fill=0)


def _indexed(bright: Array, colour: Array) -> Image.Image:
    """Join brightness and colour numbers into a picture with a palette: exact, and a third of the bytes."""
    starts = np.cumsum((0, *LEVELS[:-1]))
    levels = np.asarray(LEVELS, np.int32)
    numbers = starts[colour] + bright.astype(np.int32) * levels[colour] // 256
    picture = Image.fromarray(numbers.astype(np.uint8), "P")
    picture.putpalette([value for number in range(len(LEVELS)) for value in _shades(number)])
    return picture


def _shades(number: int) -> list[int]:
    """Return red, green and blue of every brightness of a colour, dark to bright."""
    grey = np.linspace(0, 255, LEVELS[number])[:, None].repeat(3, axis=1)
    if number:
        grey = grey * (1 - FILL) + np.asarray(COLOURS[number - 1]) * FILL
    return [int(value) for value in np.rint(grey).ravel()]


def png(picture: Image.Image) -> bytes:
    """Pack a picture as PNG, the same bytes for the same pixels."""
    buffer = BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
