"""The memory that a prediction needs, before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from medseg.engines.inference.frame import Frame
from medseg.engines.inference.layout import Layout, lay_out
from medseg.engines.inference.members import flips_of
from medseg.engines.inference.settings import InferenceSettings

_FLOAT = 4
# Planes are handed over in parts of about this size, for the sake of whoever takes them, unless they would be thinner.
_PART_BYTES, _PART_PLANES = 64 << 20, 8


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes of the slab, of rows of windows beside it, and of one window in and out without the network's maps."""

    slab: int
    rows: int
    window: int

    @property
    def total(self) -> int:
        """All of it, with one window at a time."""
        return self.slab + self.rows + self.window


def foreseen_bytes(
    frame: Frame, shape: Sequence[int], outputs: int, settings: InferenceSettings, members: int = 1
) -> int:
    """Return the bytes that a prediction takes beside the image (C, X, Y, Z) of `shape`, its result and the network.

    outputs: classes or regions.  members: models of several folds. The formula stands in docs/inference.md: it does not
    know the length of the volume along the slab axis. Windows that are computed together take one window's bytes each.
    """
    channels, *space = shape
    doubting = members * len(flips_of(frame, settings)) > 1
    return needs_of(layout_of(frame, space, settings), channels, outputs, doubting).total


def longest_part(plane: int) -> int:
    """Return how many complete planes, of so many bytes each, are handed over at once at most."""
    return max(_PART_PLANES, _PART_BYTES // plane)


def layout_of(frame: Frame, space: Sequence[int], settings: InferenceSettings) -> Layout:
    """Return the windows of a prediction of a volume (X, Y, Z)."""
    x, y, z = space
    return lay_out((x, y, z), frame.patch, frame.plane, settings.overlap, settings.blend)


def needs_of(layout: Layout, channels: int, outputs: int, doubting: bool) -> Needs:
    """Return the needs of one member, or of several, whose doubt is kept beside the outputs."""
    kept = outputs + doubting
    sizes = [axis.size for axis in layout.axes]
    slab, row, column = layout.order
    lengths = [axis.length for axis in layout.axes]
    thin = [min(size, length) for size, length in zip(sizes, lengths, strict=True)]
    rows = 0
    if lengths[row] > sizes[row]:
        rows += thin[slab] * thin[row] * lengths[column]
    if lengths[column] > sizes[column]:
        rows += prod(thin)
    return Needs(
        slab=_FLOAT * kept * thin[slab] * lengths[row] * lengths[column],
        rows=_FLOAT * kept * rows,
        window=_FLOAT * prod(sizes) * (2 * channels + (3 if doubting else 2) * kept),
    )
