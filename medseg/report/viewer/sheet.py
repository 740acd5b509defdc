"""A volume as one picture: all slices across Z, side by side in rows, packed as WebP.

Slice z stands in column `z % columns` and row `z // columns`, its X to the right and its Y downwards. Each cell is as
wide and as high as the next multiple of `CELL` pixels; beyond the slice its last voxels are repeated, so that packing
does not blur its edge.
"""

from __future__ import annotations

from math import ceil, sqrt

import numpy as np
from PIL import Image

from medseg.report.thumbnail import webp
from medseg.values.volume import Array

CELL = 16  # pixels of a block that WebP packs together
LARGEST_SIDE = 16_383  # pixels, of WebP
QUALITIES = (88, 78, 65, 50, 35)


def columns_of(width: int, height: int, slices: int) -> int:
    """Return how many slices stand in a row, so that the sheet is about as wide as high."""
    wide, high = _cell(width), _cell(height)
    return max(1, min(slices, LARGEST_SIDE // wide, ceil(sqrt(slices * high / wide))))


def lay_out(grey: Array) -> Array:
    """Lay out a volume `(X, Y, Z)` uint8 as a sheet (rows, columns)."""
    width, height, slices = grey.shape
    columns = columns_of(width, height, slices)
    wide, high, rows = _cell(width), _cell(height), ceil(slices / columns)
    cells = np.pad(grey, ((0, wide - width), (0, high - height), (0, 0)), mode="edge")
    cells = np.pad(cells, ((0, 0), (0, 0), (0, rows * columns - slices)))
    sheet: Array = cells.reshape(wide, high, rows, columns).transpose(2, 1, 3, 0).reshape(rows * high, columns * wide)
    return sheet


def pack_sheet(grey: Array, room: int) -> bytes:
    """Pack a volume `(X, Y, Z)` uint8 as WebP with the most care that fits into `room` bytes, else with the least."""
    picture = Image.fromarray(np.ascontiguousarray(lay_out(grey)))
    content = b""
    for quality in QUALITIES:
        content = webp(picture.convert("RGB"), quality)
        if len(content) <= room:
            break
    return content


def _cell(size: int) -> int:
    return CELL * ceil(size / CELL)
