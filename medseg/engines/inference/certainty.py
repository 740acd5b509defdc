"""How sure a prediction is of itself, measured while its slabs go by on the prepared grid."""

from __future__ import annotations

import torch
from torch import Tensor

from medseg.engines.inference.frame import Activation, Slab
from medseg.engines.inference.reading import Reading, disagreement, entropies, read_plane
from medseg.ops.confidence import Confidence

# Background is doubtful where foreground is this probable: it would take little to make it foreground.
_DOUBTFUL = 0.25
# Some member saw foreground where the mean of them is above this: one of eight flips that does makes at least 0.0625.
_SEEN = 0.05


class Certainty:
    """Sums over the planes of a prediction; the measures are those of `Confidence`, and how slabs are cut is no matter.

    Probabilities are taken as the network gives them, before any temperature. `voxel_ml` is the volume of a prepared
    voxel. Beside the slab at hand there is a plane of all classes in memory.
    """

    def __init__(self, activation: Activation, voxel_ml: float) -> None:
        self._activation: Activation = activation
        self._voxel_ml = voxel_ml
        self._margin, self._surface, self._agreement = _Mean(), _Mean(), _Mean()
        self._dice: Tensor | None = None
        self._doubtful = 0
        self._last: _Surface | None = None

    def add(self, slab: Slab) -> None:
        """Take the next slab, in the order of its axis."""
        for index in range(slab.stop - slab.start):
            scores = slab.scores.select(slab.axis + 1, index).clone(memory_format=torch.contiguous_format)
            found = read_plane(scores, self._activation)
            self._read(found)
            self._settle(_Surface(scores, found.labels))
            if slab.doubt is not None:
                doubt = slab.doubt.select(slab.axis, index)[found.foreground > _SEEN]
                self._agreement.add(disagreement(doubt).sum(dtype=torch.float64)[None], torch.tensor([doubt.numel()]))

    def confidence(self) -> Confidence:
        """Return the measures of all slabs, after the last one; `forecast_dice` is not among them."""
        self._settle(None)
        unlike = self._agreement.value()
        return Confidence(
            margin=self._margin.value(),
            boundary_entropy=self._surface.value(),
            agreement=None if unlike is None else 1 - unlike,
            expected_dice=self._expected_dice(),
            doubtful_ml=self._doubtful * self._voxel_ml,
        )

    def _read(self, found: Reading) -> None:
        inside = found.labels > 0
        self._margin.add((found.margin * inside).sum((1, 2)).double(), inside.sum((1, 2)))
        self._doubtful += int(((found.foreground > _DOUBTFUL) & ~inside.any(0)).sum())
        sums = torch.stack([found.overlap, found.probable, found.predicted])
        self._dice = sums if self._dice is None else self._dice + sums

    def _settle(self, surface: _Surface | None) -> None:
        """Measure the plane before, now that both of its neighbours are known."""
        if self._last is not None:
            if surface is not None:
                self._last.meet(surface)
            self._surface.add(*entropies(self._last.scores, self._activation, self._last.touching))
        self._last = surface

    def _expected_dice(self) -> float | None:
        if self._dice is None:
            return None
        overlap, probable, predicted = self._dice
        found = predicted > 0
        return float((2 * overlap / (probable + predicted))[found].mean()) if bool(found.any()) else None


class _Surface:
    """A plane (A, B): its scores (K, A, B), labels (R, A, B), and where another label touches, (R, A, B).

    Of two labels that differ at most one is background, so both voxels belong to the boundary of something.
    """

    def __init__(self, scores: Tensor, labels: Tensor) -> None:
        self.scores, self.labels = scores, labels
        self.touching = torch.zeros_like(labels, dtype=torch.bool)
        for axis in (1, 2):
            size = labels.shape[axis] - 1
            unlike = labels.narrow(axis, 0, size) != labels.narrow(axis, 1, size)
            for start in (0, 1):
                self.touching.narrow(axis, start, size).logical_or_(unlike)

    def meet(self, other: _Surface) -> None:
        """Mark, on both planes, where labels change from this plane to the next one."""
        unlike = self.labels != other.labels
        self.touching |= unlike
        other.touching |= unlike


class _Mean:
    """A mean per row, and of all rows that have anything: each region has the same say, whatever its size."""

    def __init__(self) -> None:
        self._sums, self._counts = torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)

    def add(self, sums: Tensor, counts: Tensor) -> None:
        self._sums, self._counts = self._sums + sums, self._counts + counts

    def value(self) -> float | None:
        found = self._counts > 0
        return float((self._sums / self._counts)[found].mean()) if bool(found.any()) else None
