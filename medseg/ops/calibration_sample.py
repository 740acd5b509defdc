"""The voxels that probabilities are judged on: a fair draw from where there is something to be unsure about."""

from __future__ import annotations

import numpy as np

from medseg.ops.calibration import Activation
from medseg.ops.scoring.overlap import union_box
from medseg.values.labels import IGNORED
from medseg.values.streams import stream
from medseg.values.volume import Array, BoolArray, FloatArray

NEAR_MM = 10.0
FAINT = 0.01
_Drawn = tuple[FloatArray, Array, FloatArray]


class VoxelSample:
    """Draws at most `most` voxels of a case while its probabilities come in slabs.

    Drawn from: voxels within 10 mm (along each axis) of true foreground, and all whose probability of foreground is at
    least 0.01; never what nobody annotated. The rest, background that nobody doubts, would be nearly all voxels, and
    would make any network look calibrated. Each of those voxels has the same chance, so a case counts by the number of
    voxels drawn, which is bounded: no huge tumour decides alone.
    Every voxel of the volume has a random number of its own, from a stream named after the case and the plane; the
    smallest win. So the draw does not depend on how thick slabs are.
    """

    def __init__(self, truth: Array, spacing_mm: tuple[float, ...], name: tuple[int, str], most: int) -> None:
        """Begin with class indices (X, Y, Z); `name` is the seed and the case."""
        self.truth, self.name, self.most = truth, name, most
        self.near = near_foreground(truth, spacing_mm)
        self.numbers = np.empty(0)
        self.classes = np.empty(0, np.uint8)
        self.found: FloatArray | None = None

    def add(self, axis: int, start: int, scores: FloatArray, activation: Activation) -> None:
        """Draw from the planes from `start` on along `axis`, whose probabilities are scores (K, X, Y, Z)."""
        planes = enumerate(np.moveaxis(scores, axis + 1, 0), start)
        parts = [self._drawn(axis, place, plane, activation) for place, plane in planes]
        parts += [(self.numbers, self.classes, self.found)] if self.found is not None else []
        numbers, classes, found = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
        best = np.argsort(numbers, kind="stable")[: self.most]
        self.numbers, self.classes, self.found = numbers[best], classes[best], found[:, best]

    def finish(self) -> tuple[FloatArray, Array]:
        """Return probabilities (K, N) and class indices (N,) of the voxels drawn, in their random order."""
        if self.found is None:
            raise RuntimeError("the slabs come first")
        return self.found, self.classes

    def _drawn(self, axis: int, place: int, plane: FloatArray, activation: Activation) -> _Drawn:
        """Return what one plane (K, A, B) has to offer: numbers that may win, with true classes and probabilities."""
        truth, near = (np.moveaxis(one, axis, 0)[place] for one in (self.truth, self.near))
        seed, case = self.name
        numbers = stream(seed, "calibrate", case, place).random(truth.shape)
        limit = self.numbers[-1] if len(self.numbers) == self.most else np.inf
        foreground = 1 - plane[0] if activation == "softmax" else plane.max(0)
        taken = (near | (foreground >= FAINT)) & (truth != IGNORED) & (numbers < limit)
        return numbers[taken], truth[taken], plane[:, taken]


def near_foreground(truth: Array, spacing_mm: tuple[float, ...], reach_mm: float = NEAR_MM) -> BoolArray:
    """Return the voxels (X, Y, Z) that lie at most `reach_mm` from foreground along each axis, foreground included."""
    import scipy

    foreground = (truth != 0) & (truth != IGNORED)
    near = np.zeros(truth.shape, np.bool_)
    box = union_box(foreground, foreground)
    if box is None:
        return near
    reach = [int(reach_mm / edge) for edge in spacing_mm]
    wide = tuple(slice(max(0, one.start - more), one.stop + more) for one, more in zip(box, reach, strict=True))
    near[wide] = scipy.ndimage.maximum_filter(
        foreground[wide].view(np.uint8), size=[2 * more + 1 for more in reach], mode="constant"
    )
    return near


def asked(
    found: FloatArray, classes: Array, annotated: tuple[int, ...] | None, membership: Array | None
) -> tuple[FloatArray, Array]:
    """Return probabilities (K, N) and the truth as `fit_temperature` takes them, where some labels were not looked for.

    annotated: the foreground classes that were looked for, None for all.  membership: None with softmax, else the table
    (regions, classes) of which class is in which region.
    With softmax, background stands for what was not looked for too, as in training: it gets the probability of those
    classes, and they none. With sigmoid the truth of a region that holds such a class is `IGNORED`.
    """
    missed = np.zeros(IGNORED, np.bool_)
    if annotated is not None:
        missed[1:] = True
        missed[list(annotated)] = False
    if membership is not None:
        truth = membership[:, classes].astype(np.uint8)
        truth[(membership & missed[: membership.shape[1]]).any(1)] = IGNORED
        return found, truth
    if not missed.any():
        return found, classes
    merged = found.copy()
    merged[0] += found[missed[: len(found)]].sum(0)
    merged[missed[: len(found)]] = 0
    return merged, np.where(missed[classes], 0, classes).astype(np.uint8)
