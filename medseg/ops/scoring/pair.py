"""One region in truth and prediction, cut to what either holds; what several measures need is computed once."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from medseg.ops.scoring.components import Components, Overlaps, components, overlaps
from medseg.ops.scoring.overlap import Box, Counts, require_same_shape, union_box
from medseg.ops.scoring.surfaces import Surfaces, drop_flat_axis, surfaces_between
from medseg.values.volume import BoolArray


class Pair:
    """Two masks of one region `(X, Y, Z)` or `(X, Y)`, cut to the box of both and `margin` voxels more inside the scan.

    truth, predicted: contiguous bool of the box (of no voxel where both are empty).  size: voxels of the whole scan.
    Everything else is computed when it is first asked for, and never twice. Refuses masks of different shapes.
    """

    def __init__(
        self,
        truth: BoolArray,
        predicted: BoolArray,
        spacing_mm: tuple[float, ...],
        voxel_ml: float | None = None,
        margin: int = 0,
    ) -> None:
        """Cut the box; `voxel_ml` is what the edges of a voxel span unless it is given."""
        require_same_shape(truth, predicted)
        self.spacing_mm = spacing_mm
        self.voxel_ml = float(np.prod(spacing_mm)) / 1000 if voxel_ml is None else voxel_ml
        self.size = truth.size
        self.box = widened(union_box(truth, predicted), margin, truth.shape)
        self.truth = np.ascontiguousarray(truth[self.box])
        self.predicted = np.ascontiguousarray(predicted[self.box])

    @cached_property
    def counts(self) -> Counts:
        """How many voxels of the whole scan are found, invented, missed and neither."""
        both = int(np.count_nonzero(self.truth & self.predicted))
        missed = int(np.count_nonzero(self.truth)) - both
        invented = int(np.count_nonzero(self.predicted)) - both
        return Counts(both, invented, missed, self.size - both - missed - invented)

    @cached_property
    def surfaces(self) -> Surfaces | None:
        """Both surfaces with their distances to each other; None where either mask is empty."""
        return surfaces_between(self.truth, self.predicted, self.spacing_mm)

    @cached_property
    def lesions(self) -> Components:
        """The parts of the truth, neighbours by a face, an edge or a corner."""
        return components(self.truth)

    @cached_property
    def findings(self) -> Components:
        """The parts of the prediction, neighbours by a face, an edge or a corner."""
        return components(self.predicted)

    @property
    def is_pinched(self) -> bool:
        """Whether two voxels of a mask touch by a corner alone; of a mask that stands alone nobody has looked."""
        return self.surfaces is None or any(surface.pinched for surface in self.surfaces)

    @cached_property
    def overlaps(self) -> Overlaps:
        """Which lesions and which findings share voxels."""
        return overlaps(self.lesions, self.findings)


def pair_of(truth: BoolArray, predicted: BoolArray, spacing_mm: tuple[float, ...], margin: int = 0) -> Pair:
    """Return the pair of two masks of a whole scan; a scan with one slice is looked at in its plane."""
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    require_same_shape(truth, predicted)
    return Pair(*drop_flat_axis(truth, predicted, spacing_mm), voxel_ml=voxel_ml, margin=margin)


def widened(box: Box | None, margin: int, shape: tuple[int, ...]) -> Box:
    """Return a box with `margin` voxels more on every side, as far as the scan goes; no voxel where there is no box."""
    if box is None:
        return tuple(slice(0, 0) for _ in shape)
    return tuple(
        slice(max(side.start - margin, 0), min(side.stop + margin, size)) for side, size in zip(box, shape, strict=True)
    )
