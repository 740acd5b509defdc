"""The picture of a batch: every patch that a step learns from, in all its channels, with its labels outlined.

Planes are seen the radiological way, as in all pictures of medseg: the patient's right (or front) is on the left, head
or front on top, as long as nothing was flipped or turned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageDraw

from medseg.report.batch_pixels import Patch, grey_range, paint_patch, patch_of
from medseg.report.letters import length, wrapped, write
from medseg.report.overlays import PLANES, Plane
from medseg.values.palette import colour_of
from medseg.values.volume import Array, FloatArray

SIDE = 176  # pixels of the longest edge of a patch, more where little stands side by side
_GAP, _WIDE_GAP, _MARGIN = 3, 18, 22
_HEAD, _NARROWEST, _WIDEST = 52, 320, 2300
_MOST_PLANES = 12  # of one patch side by side; more channels go on below
_LARGE, _PLAIN, _SMALL, _LINE = 17, 14, 12, 17  # heights of letters, and of a line of small ones
_PAPER, _INK, _FAINT = (17, 19, 23), (233, 235, 238), (146, 152, 162)


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of a batch besides its numbers.

    `plane` is the axis that slices were cut across, None in 3D. `channels` and `classes` are names; `classes` begins
    with that of class 1.
    """

    title: str = ""
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    plane: int | None = None
    channels: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


def batch_png(images: FloatArray, classes: Array, titles: Sequence[str], look: Look | None = None) -> bytes:
    """Draw a batch as PNG, each patch under its title; the same input gives the same bytes.

    images: `(B, C, *space)`.  classes: `(B, *space)` class indices, 0 = background, `IGNORED` where nobody annotated.
    titles: one for each patch; what follows its first line is written smaller.
    In 3D each channel is shown in three planes, through the slices with the most labels or else the middle. Grey
    reaches from the 1st to the 99th percentile of a channel over the whole batch, so that brighter patches look
    brighter. Numbers that are not finite are magenta, and the planes go through them.
    """
    look = look or Look()
    plane = 2 if images.ndim == 4 and look.plane is None else look.plane
    patches = [patch_of(image, found, plane) for image, found in zip(images, classes, strict=True)]
    planes = tuple(reversed(PLANES)) if plane is None else (PLANES[plane],)
    side = max(SIDE, _NARROWEST // (len(planes) * images.shape[1]))
    sizes = _sizes(patches[0].classes.shape, look.spacing_mm, planes, side)
    greys = tuple(grey_range(images[:, channel]) for channel in range(images.shape[1]))
    buffer = BytesIO()
    _Sheet(planes, sizes, greys, look).draw(patches, titles).save(buffer, "PNG")
    return buffer.getvalue()


def _sizes(
    shape: Sequence[int], spacing_mm: Sequence[float], planes: Sequence[Plane], side: int
) -> list[tuple[int, int]]:
    """Return width and height in pixels of each plane, true to scale: the longest edge has `side` pixels."""
    edges = [[axis for axis in range(3) if axis != plane.axis] for plane in planes]
    longest = max(shape[axis] * spacing_mm[axis] for pair in edges for axis in pair)
    pixels = [max(1, round(side * size * edge / longest)) for size, edge in zip(shape, spacing_mm, strict=True)]
    return [(pixels[across], pixels[up]) for across, up in edges]


@dataclass(frozen=True, slots=True, eq=False)
class _Sheet:
    """The planes of a channel and their pixels, black and white of each channel, and the words."""

    planes: Sequence[Plane]
    sizes: Sequence[tuple[int, int]]
    greys: Sequence[tuple[float, float]]
    look: Look

    @property
    def across(self) -> int:
        """How many channels of a patch stand side by side."""
        return max(1, min(len(self.greys), _MOST_PLANES // len(self.planes)))

    @property
    def block(self) -> tuple[int, int]:
        """Pixels that a channel takes with all its planes, gaps included."""
        return sum(width + _GAP for width, _ in self.sizes), max(height for _, height in self.sizes) + _GAP

    @property
    def width(self) -> int:
        """Pixels across that a patch takes."""
        return max(_NARROWEST, self.across * (self.block[0] + _WIDE_GAP) - _WIDE_GAP)

    def draw(self, patches: Sequence[Patch], titles: Sequence[str]) -> Image.Image:
        """Draw all patches, line by line, as many side by side as there is room for."""
        columns = min(len(patches), max(1, _WIDEST // (self.width + 2 * _WIDE_GAP)))
        words = [self._words(title) for title in titles]
        title = _LINE * max(map(len, words)) + 8
        row = title + -(-len(self.greys) // self.across) * self.block[1] + _WIDE_GAP
        wide = columns * (self.width + 2 * _WIDE_GAP) - 2 * _WIDE_GAP
        high = _HEAD + -(-len(patches) // columns) * row
        picture = Image.new("RGB", (wide + 2 * _MARGIN, high + _MARGIN - _WIDE_GAP), _PAPER)
        self._head(picture)
        for number, patch in enumerate(patches):
            line, column = divmod(number, columns)
            left, top = _MARGIN + column * (self.width + 2 * _WIDE_GAP), _HEAD + line * row
            for place, text in enumerate(words[number]):
                style = (_FAINT, _SMALL) if place else (_INK, _PLAIN)
                write(picture, (left, top + place * _LINE), text, *style)
            self._patch(picture, patch, (left, top + title))
        return picture

    def _words(self, title: str) -> list[str]:
        first, _, rest = title.partition("\n")
        return [*wrapped(first, self.width, _PLAIN)[:1], *wrapped(rest, self.width, _SMALL)]

    def _patch(self, picture: Image.Image, patch: Patch, corner: tuple[int, int]) -> None:
        """Draw all channels of a patch, each plane with the number of its slice."""
        for channel, grey in enumerate(self.greys):
            line, place = divmod(channel, self.across)
            left, top = corner[0] + place * (self.block[0] + _WIDE_GAP), corner[1] + line * self.block[1]
            for plane, size in zip(self.planes, self.sizes, strict=True):
                picture.paste(paint_patch(patch, channel, plane, size, grey), (left, top))
                words = f"{'xyz'[plane.axis]} {patch.centre[plane.axis]}"
                if patch.classes.shape[plane.axis] > 1:
                    write(picture, (left + 4, top + size[1] - 15), words, _INK, 10, rim=True)
                if plane is self.planes[0] and channel < len(self.look.channels):
                    write(picture, (left + 4, top + 2), self.look.channels[channel], _INK, _SMALL, rim=True)
                left += size[0] + _GAP

    def _head(self, picture: Image.Image) -> None:
        """Write the title and the colours of the classes, as far as there is room."""
        left = write(picture, (_MARGIN, 14), self.look.title, _INK, _LARGE) if self.look.title else _MARGIN
        for index, name in enumerate(self.look.classes, start=1):
            left += _WIDE_GAP
            if left + 18 + length(name, _PLAIN) > picture.width:
                break
            ImageDraw.Draw(picture).rectangle((left, 18, left + 11, 29), outline=colour_of(index), width=2)
            left = write(picture, (left + 18, 16), name, _FAINT, _PLAIN)
