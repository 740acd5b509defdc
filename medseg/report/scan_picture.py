"""The picture of a segmented scan: three planes through what was found, outlined in one colour per label.

Seen the radiological way, as all pictures of medseg are: in the axial and the coronal plane the patient's right is on
the left, in the sagittal plane the front is; head or front on top.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from medseg.report.letters import write
from medseg.report.overlays import PLANES, Plane, body_box, cut, window
from medseg.report.thumbnail import QUALITY, WHITE, draw_outlines, largest_slice, webp
from medseg.values.error import Refusal
from medseg.values.volume import Array, BoolArray

SIDE, GAP = 160, 4
WIDTH = 3 * SIDE + 2 * GAP
LARGEST_BYTES = 15_000
_QUALITIES = (QUALITY, 40, 20, 0)
_COARSE = 64  # voxels along an edge that are enough to find the body
_LETTER, _LETTER_COLOUR = 12, (225, 225, 225)

Point = tuple[int, int, int]


def scan_picture(image: Array, classes: Array, spacing_mm: Sequence[float]) -> bytes:
    """Draw the axial, coronal and sagittal plane side by side as WebP, `WIDTH` x `SIDE` pixels, at most 15 kB.

    image: (X, Y, Z) numbers on canonical RAS+ axes.  classes: (X, Y, Z) uint8, 0 is background, the colours are those
    of the numbers: give label numbers where they should be those of the page.  The axial plane is the one with most
    foreground, the others go through the middle of its largest piece; where nothing was found they are the middle ones.
    Each plane shows the body as large as fits, millimetres as long in both directions. One range of grey for all, from
    the 1st to the 99th percentile of what is shown. Only the planes are copied. The same input gives the same bytes.
    Refuses arrays of different shapes.
    """
    if image.ndim != 3 or image.shape != classes.shape:
        value = f"{image.shape} and {classes.shape}"
        raise Refusal("picture", "image and classes have one shape (X, Y, Z)", value, "give both on one grid")
    point = _middle(classes)
    box = _body(image, classes, point)
    planes = tuple(reversed(PLANES))
    slices = [tuple(_slice(array, box, plane.axis, point) for array in (image, classes)) for plane in planes]
    sizes = [_size(box, spacing_mm, plane.axis) for plane in planes]
    greys = _greys([flat for flat, _ in slices], sizes)
    canvas = Image.new("RGB", (WIDTH, SIDE))
    for place, (plane, grey, (_, labels), size) in enumerate(zip(planes, greys, slices, sizes, strict=True)):
        _paste(canvas, place * (SIDE + GAP), _painted(grey, labels, size), plane)
    return _small(canvas)


def _middle(classes: Array) -> Point:
    """Return a voxel in the middle of the largest piece of foreground in the axial plane that has most of it."""
    z = largest_slice(classes)
    marks: BoolArray = classes[:, :, z] != 0
    if not marks.any():
        x, y, z = (size // 2 for size in classes.shape)
        return x, y, z
    x, y = _inside(_largest_piece(marks))
    return x, y, z


def _largest_piece(marks: BoolArray) -> BoolArray:
    from scipy import ndimage

    pieces, _ = ndimage.label(marks)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    largest: BoolArray = pieces == np.argmax(sizes)
    return largest


def _inside(piece: BoolArray) -> tuple[int, int]:
    """Return the pixel of a piece that is nearest to its centre, which may lie outside it."""
    places = np.argwhere(piece)
    nearest = places[np.argmin(((places - places.mean(axis=0)) ** 2).sum(axis=1))]
    return int(nearest[0]), int(nearest[1])


def _body(image: Array, classes: Array, point: Point) -> tuple[slice, slice, slice]:
    """Return the box around the body and the point, found on few voxels: percentiles of a whole scan would copy it."""
    steps = [max(1, size // _COARSE) for size in image.shape]
    coarse = tuple(slice(None, None, step) for step in steps)
    box = body_box(window(image[coarse]), classes[coarse] != 0)
    x, y, z = (
        slice(min(part.start * step, at), max(min(part.stop * step, size), at + 1))
        for part, step, at, size in zip(box, steps, point, image.shape, strict=True)
    )
    return x, y, z


def _slice(array: Array, box: tuple[slice, slice, slice], axis: int, point: Point) -> Array:
    """Cut one plane of the box (rows, columns); cut out first, because turning a whole scan would copy it."""
    index = [*box]
    index[axis] = slice(point[axis], point[axis] + 1)
    return cut(array[tuple(index)], axis, 0)


def _size(box: tuple[slice, slice, slice], spacing_mm: Sequence[float], axis: int) -> tuple[int, int]:
    """Return width and height in pixels, the longer one `SIDE`."""
    lengths = [(box[other].stop - box[other].start) * spacing_mm[other] for other in range(3) if other != axis]
    width, height = (max(1, round(SIDE * length / max(lengths))) for length in lengths)
    return width, height


def _greys(flats: Sequence[Array], sizes: Sequence[tuple[int, int]]) -> list[Array]:
    """Bring slices to their sizes (width, height) and to uint8, one range of grey for all."""
    shown = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(flat, np.float32)).resize(size, Image.Resampling.BILINEAR)
        ).ravel()
        for flat, size in zip(flats, sizes, strict=True)
    ]
    ends = np.cumsum([part.size for part in shown])
    parts = np.split(window(np.concatenate(shown), WHITE), ends[:-1])
    return [part.reshape(height, width) for part, (width, height) in zip(parts, sizes, strict=True)]


def _painted(grey: Array, labels: Array, size: tuple[int, int]) -> Image.Image:
    pixels = np.repeat(grey[:, :, None], 3, axis=2)
    draw_outlines(pixels, labels, size)
    return Image.fromarray(pixels)


def _paste(canvas: Image.Image, left: int, picture: Image.Image, plane: Plane) -> None:
    """Put a picture into the middle of its square and say on its left edge which side of the patient that is."""
    canvas.paste(picture, (left + (SIDE - picture.width) // 2, (SIDE - picture.height) // 2))
    write(canvas, (left + 3, (SIDE - _LETTER) // 2), plane.edges[0], _LETTER_COLOUR, _LETTER, rim=True)


def _small(canvas: Image.Image) -> bytes:
    """Pack a picture, with less care where it would be too large: only noise needs more than the first try."""
    for quality in _QUALITIES:
        content = webp(canvas, quality)
        if len(content) <= LARGEST_BYTES:
            break
    return content
