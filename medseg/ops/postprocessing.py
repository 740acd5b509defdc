"""What is done to a finished label map: small parts taken out, the largest kept, holes filled."""

from __future__ import annotations

from difflib import get_close_matches
from math import prod
from typing import Annotated

import numpy as np
from pydantic import Field

from medseg.ops.scoring.overlap import Box
from medseg.values.error import wrong_setting
from medseg.values.labels import LabelScheme
from medseg.values.settings import Settings
from medseg.values.volume import Array, BoolArray

_TOUCHING = np.ones((3, 3, 3), np.bool_)  # 26 neighbours


class Postprocessing(Settings):
    """Clean-up of a label map, by names of regions.

    Parts go first, in each region its smallest and then all but its largest; holes are filled afterwards.
    """

    minimum_mm3: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="region: its connected parts below this volume become background"
    )
    keep_largest: tuple[str, ...] = Field((), description="regions of which only the largest connected part stays")
    fill_holes: tuple[str, ...] = Field((), description="regions whose holes are filled")

    @property
    def named(self) -> dict[str, tuple[str, ...]]:
        """The regions that each setting names."""
        return {
            "minimum_mm3": tuple(self.minimum_mm3),
            "keep_largest": self.keep_largest,
            "fill_holes": self.fill_holes,
        }


def postprocess(
    classes: Array, scheme: LabelScheme, wanted: Postprocessing, spacing_mm: tuple[float, float, float]
) -> Array:
    """Clean class indices (X, Y, Z) uint8 up and return them; the same array, untouched, where nothing is to be done.

    A part is what 26 neighbours connect; of parts of one size the first in index order is the largest. What is taken
    out becomes background. A hole is background that 6 neighbours connect and the region encloses, alone or with other
    labels; it gets the class of most of the region's voxels beside it (the lower one of two), labels are never
    overwritten. A scan of one slice is filled within it, and the border of a scan encloses nothing.
    Regions with fewer labels come first, so that what is in a region is judged before the region; then, for regions
    that lie inside each other or apart, doing it twice changes nothing more.
    Refuses (exit 2) names that are no regions.
    """
    demand_regions(scheme, wanted)
    names = {name for named in wanted.named.values() for name in named}
    if not names:
        return classes
    work = _Work(classes, prod(spacing_mm))
    regions = [name for name in sorted(scheme.regions, key=lambda one: len(scheme.regions[one])) if name in names]
    for name in regions:
        work.drop_parts(_members(scheme, name), wanted.minimum_mm3.get(name, 0.0), name in wanted.keep_largest)
    for name in regions:
        if name in wanted.fill_holes:
            work.fill_holes(_members(scheme, name))
    return work.classes


def demand_regions(scheme: LabelScheme, wanted: Postprocessing) -> None:
    """Refuse (exit 2) names of regions that the scheme does not know."""
    for setting, names in wanted.named.items():
        for name in names:
            if name not in scheme.regions:
                near = get_close_matches(name, scheme.regions, 1)
                remedy = f"did you mean '{near[0]}'?" if near else "name one of them"
                rule = f"names regions of {list(scheme.regions)}"
                raise wrong_setting(f"inference.postprocess.{setting}", rule, name, remedy)


class _Work:
    """A label map under work: copied when the first voxel changes, with a box around each class."""

    def __init__(self, classes: Array, voxel_mm3: float) -> None:
        import scipy

        self.classes, self.voxel_mm3, self.own = classes, voxel_mm3, False
        self.deep = [size > 1 for size in classes.shape]
        self.boxes: dict[int, Box] = {
            index: box for index, box in enumerate(scipy.ndimage.find_objects(classes), start=1) if box is not None
        }

    def drop_parts(self, members: list[int], minimum_mm3: float, only_largest: bool) -> None:
        """Make background of parts of a region below a volume and, where asked for, of all but its largest."""
        if box := self._box(members):
            mask = self._mask(members, box)
            self._put(box, _superfluous(mask, minimum_mm3 / self.voxel_mm3, only_largest), 0)

    def fill_holes(self, members: list[int]) -> None:
        """Fill the holes of a region; from then on its classes may lie anywhere in its box."""
        if box := self._box(members):
            self._put(box, *_holes(self.classes[box], self._mask(members, box), self.deep))
            for index in members:
                self.boxes[index] = _around([self.boxes.get(index, box), box])

    def _box(self, members: list[int]) -> Box | None:
        boxes = [self.boxes[index] for index in members if index in self.boxes]
        return _around(boxes) if boxes else None

    def _mask(self, members: list[int], box: Box) -> BoolArray:
        table = np.zeros(256, np.bool_)
        table[members] = True
        return table[self.classes[box]]

    def _put(self, box: Box, where: BoolArray, values: Array | int) -> None:
        """Set the voxels `where` of a box to `values`, one for all or one for each of them."""
        if where.any():
            self.classes = self.classes if self.own else self.classes.copy()
            self.own = True
            self.classes[box][where] = values


def _members(scheme: LabelScheme, name: str) -> list[int]:
    return sorted({scheme.values.index(label) for label in scheme.regions[name]})


def _around(boxes: list[Box]) -> Box:
    """Return the smallest box that holds all of these."""
    sides = list(zip(*boxes, strict=True))
    return tuple(slice(min(side.start for side in axis), max(side.stop for side in axis)) for axis in sides)


def _superfluous(mask: BoolArray, minimum: float, only_largest: bool) -> BoolArray:
    """Return the voxels of parts with less than `minimum` voxels and, where asked for, of all but the largest."""
    import scipy

    if not (minimum > 0 or only_largest):
        return np.zeros_like(mask)
    parts, count = scipy.ndimage.label(mask, _TOUCHING)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    gone = sizes < minimum
    gone[0] = False
    if only_largest and count:
        gone[1:] |= np.arange(1, count + 1) != 1 + sizes[1:].argmax()
    removed: BoolArray = gone[parts]
    return removed


def _holes(classes: Array, mask: BoolArray, deep: list[bool]) -> tuple[BoolArray, Array]:
    """Return the voxels of the holes of a region (`mask`) in its box, and the class of each of them.

    deep: the axes along which the scan has more than one voxel, and so an outside.
    """
    import scipy

    around, count = scipy.ndimage.label(~mask)
    outside = np.zeros(count + 1, np.bool_)
    outside[0] = True
    for axis in (axis for axis in range(3) if deep[axis]):
        for face in (0, -1):
            outside[np.take(around, face, axis)] = True
    holes, count = scipy.ndimage.label(~outside[around] & (classes == 0))
    votes = _votes(holes, count, classes, mask)
    where: BoolArray = (votes.max(1, initial=0) > 0)[holes]
    return where, votes.argmax(1)[holes[where]].astype(np.uint8)


def _votes(holes: Array, count: int, classes: Array, mask: BoolArray) -> Array:
    """Count, for each hole (row 0: none), how many faces it shares with the region's voxels of each class."""
    kinds = int(classes.max(initial=0)) + 1
    votes = np.zeros((count + 1) * kinds, np.int64)
    for axis in range(3):
        low, high = ((*(slice(None),) * axis, part) for part in (slice(None, -1), slice(1, None)))
        for here, there in ((low, high), (high, low)):
            touching = (holes[here] > 0) & mask[there]
            pairs = holes[here][touching].astype(np.int64) * kinds + classes[there][touching]
            votes += np.bincount(pairs, minlength=len(votes))
    return votes.reshape(count + 1, kinds)
