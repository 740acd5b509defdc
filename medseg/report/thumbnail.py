"""The small picture of a scan: the slice with most of the mask, outlined in one colour per label.

Seen the radiological way, as all pictures of medseg are: the patient's right is on the left, front on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image, WebPImagePlugin

from medseg.report.overlays import cut, window
from medseg.report.painting import outline
from medseg.values.palette import colour_of
from medseg.values.volume import Array, FloatArray

LONGEST = 112
_AXIAL = 2
WHITE = 99.0
QUALITY = 60
_FORMAT = WebPImagePlugin.WebPImageFile.format  # imported by name: to find it, Pillow would load all its formats
_LINE = 2  # pixels; WebP halves the resolution of colours, so that a line of one pixel loses its own
_MOST_WITHOUT_OVERFLOW = 255


def thumbnail(image: Array, mask: Array | None, spacing_mm: Sequence[float]) -> bytes:
    """Draw a scan as WebP, its longer side `LONGEST` pixels, true to scale in mm; the same input gives the same bytes.

    image: (X, Y, Z) numbers on canonical RAS+ axes.  mask: (X, Y, Z) uint8, 0 is background, or None.
    The slice across Z with the largest foreground is shown, the middle one where there is none. Grey reaches from the
    1st to the 99th percentile of the slice.
    """
    index = largest_slice(mask) if mask is not None else image.shape[_AXIAL] // 2
    size = _size(image.shape, spacing_mm)
    flat = Image.fromarray(np.ascontiguousarray(_slice(image, index), np.float32))
    grey = window(np.asarray(flat.resize(size, Image.Resampling.BILINEAR)), WHITE)
    pixels = np.repeat(grey[:, :, None], 3, axis=2)
    if mask is not None:
        draw_outlines(pixels, _slice(mask, index), size)
    return webp(Image.fromarray(pixels))


def webp(picture: Image.Image, quality: int = QUALITY) -> bytes:
    """Pack a picture as WebP, the same bytes for the same pixels."""
    buffer = BytesIO()
    picture.save(buffer, _FORMAT, quality=quality, method=2)
    return buffer.getvalue()


def largest_slice(mask: Array) -> int:
    """Return the slice across Z with the most foreground, the first of equals, the middle one of an empty mask."""
    if mask.strides[_AXIAL] in (1, -1):
        areas = _areas_of_rows(mask)
    else:
        areas = np.array([np.count_nonzero(mask[:, :, index]) for index in range(mask.shape[_AXIAL])])
    return int(np.argmax(areas)) if areas.any() else mask.shape[_AXIAL] // 2


def draw_outlines(pixels: Array, labels: Array, size: tuple[int, int]) -> None:
    """Paint the outline of every label of a slice (rows, columns) on `pixels`, in ascending order of the numbers."""
    for number in (int(found) for found in np.unique(labels) if found):
        shown = _fit(labels == number, size)
        pixels[outline(shown, _LINE)] = colour_of(number)


def _slice(array: Array, index: int) -> Array:
    """Cut a slice across Z and turn it; cut out first, because turning a whole scan would copy it."""
    return cut(array[:, :, index : index + 1], _AXIAL, 0)


def _size(shape: Sequence[int], spacing_mm: Sequence[float]) -> tuple[int, int]:
    """Return width and height in pixels."""
    lengths = [shape[axis] * spacing_mm[axis] for axis in (0, 1)]
    width, height = (max(1, round(LONGEST * length / max(lengths))) for length in lengths)
    return width, height


def _areas_of_rows(mask: Array) -> Array:
    """Count the foreground of each slice across Z of a mask that lies in memory row by row along Z."""
    areas = np.zeros(mask.shape[_AXIAL], np.int64)
    for start in range(0, mask.shape[0], _MOST_WITHOUT_OVERFLOW):  # so few rows that sums fit in a byte: 20 x faster
        filled = (mask[start : start + _MOST_WITHOUT_OVERFLOW] != 0).view(np.uint8)
        areas += np.add.reduce(filled, axis=0, dtype=np.uint8).sum(axis=0, dtype=np.int64)
    return areas


def _fit(label: Array, size: tuple[int, int]) -> Array:
    """Bring a label to the picture's pixels: those it covers by half, or at all where no pixel is covered by half."""
    covered: FloatArray = np.asarray(
        Image.fromarray(np.ascontiguousarray(label, np.float32)).resize(size, Image.Resampling.BOX)
    )
    half: Array = covered >= 0.5
    return half if half.any() else covered > 0
