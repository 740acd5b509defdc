"""Parts of a scan are filled up with background; no voxel moves in the world."""

from __future__ import annotations

import numpy as np
import pytest

from medseg.experiment.evaluating.placing import placed
from medseg.files.scan_values import Scan
from medseg.ops.grids import Grid, grid_of, same_grid
from medseg.ops.orientation import to_canonical
from medseg.values.volume import Array, FloatArray, Volume

WHOLE = (9, 8, 7)
AFFINE = np.array([[0.0, -1.5, 0, 20], [1.25, 0, 0.1, -7], [0, 0.1, 2.0, 3], [0, 0, 0, 1.0]])
Box = tuple[slice, slice, slice]


def part(voxels: Array, box: Box, partial: bool = True) -> Scan:
    """Cut a box out of a scan."""
    step = np.eye(4)
    step[:3, 3] = [side.start for side in box]
    return Scan(Volume(voxels[box][None], AFFINE @ step), partial=partial)


def box(rng: np.random.Generator) -> Box:
    low = [int(rng.integers(0, size - 2)) for size in WHOLE]
    sides = [slice(start, int(rng.integers(start + 1, size + 1))) for start, size in zip(low, WHOLE, strict=True)]
    return sides[0], sides[1], sides[2]


def points(volume: Volume) -> dict[tuple[float, ...], int]:
    """Return the label of every place in the world that has one."""
    index = np.argwhere(volume.voxels[0])
    world: FloatArray = index @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    labels = volume.voxels[0][tuple(index.T)]
    return {tuple(np.round(place, 6)): int(label) for place, label in zip(world, labels, strict=True)}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("whole", [(False, True), (True, False), (True, True)])
def test_parts_come_to_lie_on_one_grid_with_every_label_in_its_place(seed: int, whole: tuple[bool, bool]) -> None:
    rng = np.random.default_rng(seed)
    everything = slice(0, WHOLE[0]), slice(0, WHOLE[1]), slice(0, WHOLE[2])
    sides = []
    for partial in whole:
        voxels = rng.integers(0, 3, WHOLE).astype(np.uint8)
        sides.append(part(voxels, box(rng) if partial else everything, partial))
    truth, predicted = placed(sides[0], sides[1], None)
    assert predicted is not None
    assert same_grid(grid_of(truth), grid_of(predicted))
    assert points(truth) == points(sides[0].volume)
    assert points(predicted) == points(sides[1].volume)


def test_a_part_without_prediction_is_filled_up_to_its_image() -> None:
    voxels = np.ones(WHOLE, np.uint8)
    scan = part(voxels, (slice(2, 5), slice(1, 4), slice(3, 6)))
    image = Volume(np.zeros((1, *WHOLE), np.uint8), AFFINE)
    grid = grid_of(to_canonical(image))
    truth, predicted = placed(scan, None, grid)
    assert predicted is None
    assert same_grid(grid_of(truth), grid)
    assert points(truth) == points(scan.volume)


def test_what_lies_on_another_lattice_or_far_away_stays_as_it_is() -> None:
    voxels = np.ones(WHOLE, np.uint8)
    scan = part(voxels, (slice(2, 5), slice(1, 4), slice(3, 6)))
    for moved in (0.4, 1e9):
        step = np.eye(4)
        step[0, 3] = moved
        other = Scan(Volume(scan.volume.voxels, step @ scan.volume.affine), partial=True)
        truth, predicted = placed(scan, other, None)
        assert predicted is not None
        assert predicted.voxels.size == other.volume.voxels.size
        assert points(truth) == points(scan.volume)
        assert points(predicted) == points(other.volume)
        assert not same_grid(grid_of(truth), grid_of(predicted))
    assert placed(scan, None, Grid(WHOLE, np.eye(4)))[0].voxels.size == scan.volume.voxels.size
