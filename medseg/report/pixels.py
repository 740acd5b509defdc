"""From brightness and colour numbers to a picture with a palette, and to PNG bytes."""

from __future__ import annotations

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


def frame(bright: Array, colour: Array, edges: tuple[str, str, str, str], side: int = SIDE) -> Image.Image:
    """Centre a painted slice on a black square and write letters on its left, right, top and bottom edge.

    bright, colour: (rows, columns) uint8, see `COLOURS`: 0 is plain grey, 1 right, 2 missed, 3 false.
    """
    corner = (side - bright.shape[1]) // 2, (side - bright.shape[0]) // 2
    square, colours = Image.new("L", (side, side)), Image.new("L", (side, side))
    square.paste(Image.fromarray(bright), corner)
    colours.paste(Image.fromarray(colour), corner)
    draw = ImageDraw.Draw(square)
    font = ImageFont.load_default(LETTER * side / SIDE)
    middle, far = side / 2, side - 4
    places = ((4, middle, "lm"), (far, middle, "rm"), (middle, 3, "ma"), (middle, far, "md"))
    for letter, (x, y, anchor) in zip(edges, places, strict=True):
        draw.text((x, y), letter, fill=225, font=font, anchor=anchor, stroke_width=1, stroke_fill=0)
    return _indexed(np.asarray(square), np.asarray(colours))


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
