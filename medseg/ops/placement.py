"""Where a prepared array came from, and the way back to the stored scan."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
from pydantic import Field

from medseg.ops.orientation import Orientation, from_canonical, orientation_of, to_canonical
from medseg.ops.resampling import resample_scores
from medseg.values.error import Refusal
from medseg.values.settings import Settings
from medseg.values.volume import Array, FloatArray, Volume

Shape = tuple[int, int, int]
Row = tuple[float, float, float, float]


class StoredGrid(Settings):
    """The grid of a scan as its file has it: voxels along the stored axes, and the affine to RAS+ mm."""

    shape: Shape
    affine: tuple[Row, Row, Row, Row]


class Placement(Settings):
    """How a prepared array came from the stored scan: reorientated, then cropped, then resampled.

    `crop_start` and `crop_stop` count voxels of the canonical (RAS+) grid; `spacing_mm` is what the prepared voxels
    really have, which is the plan's spacing up to the rounding of `prepared_shape`.
    """

    stored: StoredGrid
    orientation: Orientation
    crop_start: Shape
    crop_stop: Shape
    prepared_shape: Shape
    spacing_mm: tuple[float, float, float] = Field(description="edges of a prepared voxel")

    @property
    def canonical_shape(self) -> Shape:
        """Voxels of the whole scan along the canonical axes."""
        x, y, z = (self.stored.shape[axis] for axis in self.orientation.permutation)
        return x, y, z

    @property
    def box(self) -> tuple[slice, ...]:
        """The crop, as what cuts it out of an array on the canonical axes."""
        return tuple(slice(start, stop) for start, stop in zip(self.crop_start, self.crop_stop, strict=True))

    @property
    def cropped_shape(self) -> Shape:
        """Voxels of the crop along the canonical axes, before any resampling."""
        x, y, z = (stop - start for start, stop in zip(self.crop_start, self.crop_stop, strict=True))
        return x, y, z


def place(stored: StoredGrid, crop: tuple[Shape, Shape], prepared_shape: Shape) -> Placement:
    """Make the placement of a crop (start, stop; canonical voxels) that was resampled to `prepared_shape`.

    A crop that is empty or leaves the scan is refused.
    """
    affine = np.asarray(stored.affine)
    orientation = orientation_of(affine)
    start, stop = crop
    whole = [stored.shape[axis] for axis in orientation.permutation]
    if not all(0 <= low < high <= size for low, high, size in zip(start, stop, whole, strict=True)):
        raise Refusal("crop", f"a crop lies inside {tuple(whole)}", f"{start} to {stop}", "mend the body mask")
    edges = np.linalg.norm(affine[:3, :3], axis=0)[list(orientation.permutation)]
    x, y, z = edges * np.subtract(stop, start) / prepared_shape
    return Placement(
        stored=stored,
        orientation=orientation,
        crop_start=start,
        crop_stop=stop,
        prepared_shape=prepared_shape,
        spacing_mm=(float(x), float(y), float(z)),
    )


def stored_grid(volume: Volume) -> StoredGrid:
    """Take the grid of a volume as read from its file."""
    return StoredGrid(shape=volume.shape, affine=_rows(volume.affine))


def read_placement(record: Mapping[str, object]) -> Placement:
    """Build the placement from its JSON dictionary, as `placement.model_dump(mode="json")` gives it."""
    return Placement.model_validate_json(json.dumps(record))


def cropped_spacing_mm(placement: Placement) -> tuple[float, float, float]:
    """Return the edges of one voxel of the crop, in mm: those of the stored scan in the order of canonical axes."""
    edges = np.linalg.norm(_affine(placement)[:3, :3], axis=0)[list(placement.orientation.permutation)]
    return float(edges[0]), float(edges[1]), float(edges[2])


def prepared_affine(placement: Placement) -> FloatArray:
    """Return the matrix (4, 4) from prepared voxel indices to RAS+ mm."""
    whole = to_canonical(Volume(np.broadcast_to(np.uint8(0), (1, *placement.stored.shape)), _affine(placement)))
    scale = np.divide(placement.cropped_shape, placement.prepared_shape)
    matrix = np.eye(4)
    matrix[:3, :3] = np.diag(scale)
    matrix[:3, 3] = np.add(placement.crop_start, scale / 2 - 0.5)
    moved: FloatArray = whole.affine @ matrix
    return moved


def restore_scores(scores: FloatArray, placement: Placement) -> FloatArray:
    """Resample scores (K, *prepared) linearly to (K, *cropped): canonical axes, the scan's own voxels, float32.

    Without resampling the values come back as they are. Another shape than the placement's is refused.
    """
    _check("scores", scores.shape[1:], placement.prepared_shape)
    return resample_scores(scores, placement.cropped_shape)


def restore_mask(labels: Array, placement: Placement) -> Volume:
    """Put labels (*cropped) uint8 back into the stored scan: its grid, orientation and affine, (1, X, Y, Z).

    Outside the crop it is 0. The exact inverse of reorientation and crop.
    """
    _check("labels", labels.shape, placement.cropped_shape)
    stored = restore_values(labels.astype(np.uint8, copy=False), placement)
    return Volume(stored[None], _affine(placement))


def restore_values(values: Array, placement: Placement, outside: float = 0) -> Array:
    """Put values (*cropped) of any type back on the stored axes, (X, Y, Z) contiguous; `outside` the crop.

    For a map of probabilities `outside` is 1 for the background and 0 for everything else. Another shape than the
    placement's is refused.
    """
    _check("values", values.shape, placement.cropped_shape)
    whole = np.full(placement.canonical_shape, outside, values.dtype)
    whole[placement.box] = values
    return np.ascontiguousarray(from_canonical(whole, placement.orientation))


def _affine(placement: Placement) -> FloatArray:
    return np.asarray(placement.stored.affine, np.float64)


def _rows(affine: FloatArray) -> tuple[Row, Row, Row, Row]:
    rows = [(float(a), float(b), float(c), float(d)) for a, b, c, d in affine]
    return rows[0], rows[1], rows[2], rows[3]


def _check(subject: str, shape: tuple[int, ...], expected: Shape) -> None:
    if tuple(shape) != expected:
        raise Refusal(subject, f"the space of {subject} is {expected}", tuple(shape), "use the placement of this case")
