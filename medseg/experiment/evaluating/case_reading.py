"""The files of one case, read and held against each other before anything is measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from medseg.experiment.evaluating.scheme import coding_remedy
from medseg.files.layouts.values import ChannelFile
from medseg.files.reading import Reading
from medseg.files.scans import read_heading, scan_image
from medseg.ops.grids import Grid, canonical_grid, grid_of, same_grid
from medseg.ops.orientation import to_canonical
from medseg.ops.resampling import resample_to_grid
from medseg.ops.scoring.settings import GridRule
from medseg.ops.sighting import count_numbers
from medseg.values.error import Refusal
from medseg.values.labels import LabelScheme
from medseg.values.volume import Array, FloatArray, Volume

_ROUNDING = 1e-3  # what half precision and resampling may add to 0 and 1


class StrangeLabels(Refusal):
    """A prediction holds numbers that mean nothing in the truth; `numbers` are those as the file has them."""

    def __init__(self, case: str, numbers: tuple[int, ...], scheme: LabelScheme) -> None:
        rule = f"a prediction holds the labels of the truth, {list(scheme.values)}"
        super().__init__(case, rule, list(numbers), coding_remedy(numbers, scheme))
        self.numbers = numbers


def numbers_in(mask: Array) -> tuple[int, ...]:
    """Return the numbers that stand in a mask (uint8, any shape), ascending."""
    return tuple(count_numbers(mask, (0, 1, 2, 3)))


def recoded(case: str, mask: Volume, coding: Mapping[int, int], scheme: LabelScheme) -> Volume:
    """Read the numbers of a prediction as those of the truth; refuses others.

    All numbers change at once, so two of them can be exchanged. A number that voxels are ignored by in the truth means
    nothing in a prediction.
    """
    table = np.arange(256, dtype=np.uint8)
    for old, new in coding.items():
        table[old] = new
    strange = tuple(number for number in numbers_in(mask.voxels) if int(table[number]) not in scheme.values)
    if strange:
        raise StrangeLabels(case, strange, scheme)
    return Volume(table[mask.voxels], mask.affine) if coding else mask


def image_grid(file: ChannelFile, reading: Reading) -> Grid:
    """Return the canonical grid that the header of an image claims."""
    heading = read_heading(file.path, reading)
    return canonical_grid(heading.grid, heading.affine)


def image_on_grid(file: ChannelFile, grid: Grid, reading: Reading) -> FloatArray:
    """Return an image (X, Y, Z), float32, on the canonical grid of the truth; refuses one that shows other space."""
    volume = to_canonical(scan_image(file.path, file.component, reading).volume)
    if same_grid(grid_of(volume), grid):
        return np.asarray(volume.voxels[0], np.float32)
    return np.asarray(resample_to_grid(volume, grid.shape, grid.affine, order=1).voxels[0], np.float32)


def map_on_grid(path: Path, grid: Grid, scheme: LabelScheme, how: GridRule, reading: Reading) -> FloatArray:
    """Return the probability (X, Y, Z) of the tumour, float32, 0 to 1, on the canonical grid of the truth.

    A file of one volume is the map of the tumour. One with a volume for background and each label, by their numbers,
    is summed over the labels of the tumour. Refuses other files, numbers outside 0..1, and another grid unless it is
    to be resampled.
    """
    classes = scheme.values
    count = read_heading(path, reading).volumes
    if count not in (1, len(classes)):
        rule = f"holds one map, of {scheme.tumour}, or {len(classes)}, of the background and each label"
        raise Refusal(str(path), rule, f"{count} volumes", "write the map of the tumour alone")
    members = [0] if count == 1 else [classes.index(number) for number in scheme.regions[scheme.tumour]]
    first, *others = (to_canonical(scan_image(path, member, reading).volume) for member in members)
    total = np.asarray(first.voxels, np.float32).copy()
    for other in others:
        total += other.voxels
    volume = Volume(_checked(path, total), first.affine)
    if same_grid(grid_of(volume), grid):
        return np.asarray(volume.voxels[0])
    if how == "refuse":
        rule, remedy = "a map lies on the grid of the truth", "write it there, or set grid=resample"
        raise Refusal(str(path), rule, f"another one, of {volume.shape} voxels", remedy)
    return np.asarray(resample_to_grid(volume, grid.shape, grid.affine, order=1).voxels[0])


def _checked(path: Path, values: FloatArray) -> FloatArray:
    low, high = float(values.min()), float(values.max())
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # so that NaN does not pass
        raise Refusal(str(path), "probabilities are from 0 to 1", f"{low:g} to {high:g}", "normalise them")
    return values.clip(0, 1)
