"""Words in a picture: plain letters of the font that comes with Pillow."""

from __future__ import annotations

from math import ceil

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
_RIM = (0, 0, 0)


def write(
    picture: Image.Image, corner: tuple[int, int], words: str, colour: Colour, size: int, rim: bool = False
) -> int:
    """Write words on an RGB picture from their upper left corner, with a black rim if asked; return where they end."""
    draw = ImageDraw.Draw(picture)
    draw.text(
        corner,
        _printable(words),
        fill=colour,
        font=ImageFont.load_default(size),
        stroke_width=1 if rim else 0,
        stroke_fill=_RIM,
    )
    return corner[0] + length(words, size)


def length(words: str, size: int) -> int:
    """Return how many pixels wide words are."""
    return ceil(ImageFont.load_default(size).getlength(_printable(words)))


def wrapped(words: str, width: int, size: int) -> list[str]:
    """Break words into lines that are no wider than `width` pixels; a word that is too long alone is cut off."""
    lines: list[str] = []
    for word in words.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and length(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(_cut_off(word, width, size))
    return lines


def _cut_off(word: str, width: int, size: int) -> str:
    while len(word) > 1 and length(word, size) > width:
        word = word[:-1]
    return word


def _printable(words: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in words)
