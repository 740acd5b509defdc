"""From slabs of probabilities on the prepared grid to labels on the scan's own voxels, one slab at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from medseg.engines.inference.bricks import Brick, Grids, Planes
from medseg.engines.inference.contending import contenders
from medseg.engines.inference.decoding import decode
from medseg.engines.inference.frame import Activation, Slab
from medseg.engines.inference.maps import Maps, Wanted
from medseg.ops.placement import Placement
from medseg.values.error import Refusal
from medseg.values.volume import Array, FloatArray

NOTHING = Wanted()
# Classes that are resampled together; more would not fit into the cache of a core.
_AT_ONCE = 8


@dataclass(frozen=True, slots=True, eq=False)
class Restored:
    """classes: uint8 (*cropped).  probabilities: float16 (K, *cropped).  uncertainty and joined: float16 (*cropped)."""

    classes: Array
    probabilities: Array | None = None
    uncertainty: Array | None = None
    joined: Array | None = None


class Restorer:
    """Resample slabs linearly to the cropped grid and decode them at once.

    The labels are those of `decode(restore_scores(whole))`, voxel for voxel, but no more than the slab at hand, one
    plane of the slab before, and a few bricks of 65,000 voxels are in memory beside the result. `order` comes from
    `paint_order` and is needed for sigmoid outputs. `temperature` touches the maps that are `wanted`, never labels.
    """

    def __init__(
        self,
        placement: Placement,
        activation: Activation,
        order: Sequence[tuple[int, int]] = (),
        wanted: Wanted = NOTHING,
        temperature: float = 1.0,
    ) -> None:
        self._placement, self._activation, self._order = placement, activation, order
        self._wanted, self._temperature = wanted, temperature
        self._grids = Grids(placement)
        self._classes: Array = np.zeros(placement.cropped_shape, np.uint8)
        self._maps: Maps | None = None
        self._before: Slab | None = None
        self._done = 0

    def add(self, slab: Slab) -> None:
        """Restore all planes that need nothing beyond this slab; slabs come in order, along one axis.

        A slab that does not follow the one before, or does not fit the placement, is refused.
        """
        self._check(slab)
        if self._wanted and self._maps is None:
            shape = (len(slab.scores), *self._placement.cropped_shape)
            self._maps = Maps(self._wanted, self._activation, self._temperature, shape)
        planes = Planes(slab, None if self._before is None else self._before.scores)
        ready = self._grids.ready(slab.axis, slab.stop)
        for brick in self._grids.bricks(slab.axis, self._done, ready):
            self._restore(planes.cut(brick.source), brick)
        last = slab.scores.narrow(slab.axis + 1, slab.scores.shape[slab.axis + 1] - 1, 1)
        self._before, self._done = Slab(slab.axis, slab.stop - 1, last.clone()), ready

    def finish(self) -> Restored:
        """Return the whole result; refuses to while slabs are missing."""
        if self._before is None or self._before.stop != self._placement.prepared_shape[self._before.axis]:
            reached = None if self._before is None else self._before.stop
            raise _broken("slabs together are the whole volume", f"planes up to {reached}")
        self._before = None
        if self._maps is None:
            return Restored(self._classes)
        return Restored(self._classes, self._maps.probabilities, self._maps.uncertainty, self._maps.joined)

    def _restore(self, scores: Tensor, brick: Brick) -> None:
        if self._maps is None:
            self._classes[brick.place] = self._decoded(scores, brick)
            return
        values = self._grids.interpolated(scores, brick)
        self._classes[brick.place] = decode(values.numpy(), self._activation, self._order)
        self._maps.write(values, brick.place)

    def _decoded(self, scores: Tensor, brick: Brick) -> Array | int:
        """Return the labels of a brick from its contenders alone: one number where there is but one."""
        kept = contenders(scores, self._activation)
        if self._activation == "softmax" and len(kept) == 1:
            return kept[0]
        if not kept:
            return 0
        if self._activation == "softmax":
            return self._best_of(scores, kept, brick)
        order = [(kept.index(region), number) for region, number in self._order if region in kept]
        return decode(self._grids.interpolated(scores[kept], brick).numpy(), "sigmoid", order)

    def _best_of(self, scores: Tensor, kept: list[int], brick: Brick) -> Array:
        """Return the best class of each voxel of a brick, the lower one of equals, from a few classes at a time."""
        labels: Array = np.zeros((), np.uint8)
        best: FloatArray = np.full((), -np.inf, np.float32)
        for first in range(0, len(kept), _AT_ONCE):
            some = kept[first : first + _AT_ONCE]
            values = self._grids.interpolated(scores[some], brick).numpy()
            highest = values.max(0)
            labels = np.where(highest > best, np.asarray(some, np.uint8)[decode(values, "softmax")], labels)
            best = np.maximum(best, highest)
        return labels

    def _check(self, slab: Slab) -> None:
        expected = list(self._placement.prepared_shape)
        expected[slab.axis] = slab.scores.shape[slab.axis + 1]
        if list(slab.scores.shape[1:]) != expected or slab.stop > self._placement.prepared_shape[slab.axis]:
            rule = f"a slab lies in the prepared volume {self._placement.prepared_shape}"
            raise _broken(rule, f"{tuple(slab.scores.shape[1:])} from {slab.start} along axis {slab.axis}")
        axis, stop = (slab.axis, 0) if self._before is None else (self._before.axis, self._before.stop)
        if (slab.axis, slab.start) != (axis, stop):
            rule = f"slabs come in order, the next one from {stop} along axis {axis}"
            raise _broken(rule, f"{slab.start} along axis {slab.axis}")


def _broken(rule: str, value: object) -> Refusal:
    return Refusal("slab", rule, value, "report this as a defect of medseg")
