"""From the segmentation of a prepared scan to what people get: a mask on the scan's own grid, and numbers about it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from medseg.engines.inference.segmenting import Segmented
from medseg.engines.packages.package import Card
from medseg.ops.placement import Placement, cropped_spacing_mm, restore_mask, restore_values
from medseg.report.scan_picture import scan_picture
from medseg.stages.segmenting.segmenter import Ready
from medseg.values.labels import LabelScheme
from medseg.values.volume import Array, FloatArray, Volume


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """A segmented scan: label numbers uint8 (1, X, Y, Z) on its own grid, millilitres by label name, measures of trust.

    `picture` is the base64 of a small WebP.
    """

    mask: Volume
    volume_ml: dict[str, float]
    confidence: dict[str, float | None]
    picture: str


def finish(ready: Ready, segmented: Segmented, card: Card) -> Finished:
    """Put a segmentation back on the grid of its scan, measure it and draw it."""
    scheme = card.scheme.scheme
    labels = scheme.to_labels(segmented.classes)
    mask = restore_mask(labels, ready.placement)
    confidence = segmented.confidence.model_dump()
    if card.forecast is not None and confidence["forecast_dice"] is not None:
        confidence["forecast_error"] = card.forecast.error
    picture = scan_picture(ready.shown, labels, cropped_spacing_mm(ready.placement))
    return Finished(mask, _volumes(labels, scheme, mask.voxel_ml), confidence, b64encode(picture).decode("ascii"))


@dataclass(frozen=True, slots=True, eq=False)
class ProbabilityMaps(Collection[Array]):
    """Probabilities (K, *cropped) as maps (X, Y, Z) on the scan's own axes, made one by one.

    Outside the crop everything is background: with softmax outputs, whose first one is the background, that is 1 there,
    and everything else 0.
    """

    probabilities: Array
    placement: Placement
    softmax: bool

    def __len__(self) -> int:
        return len(self.probabilities)

    def __iter__(self) -> Iterator[Array]:
        for index, own in enumerate(self.probabilities):
            yield restore_values(own, self.placement, 1.0 if self.softmax and index == 0 else 0.0)

    def __contains__(self, one: object) -> bool:
        return any(one is own for own in self)


def affine_of(placement: Placement) -> FloatArray:
    """Return the affine (4, 4) of the scan's own grid."""
    return np.asarray(placement.stored.affine, np.float64)


def _volumes(labels: Array, scheme: LabelScheme, voxel_ml: float) -> dict[str, float]:
    """Count plane by plane: counting widens its numbers to eight bytes each."""
    counts = np.zeros(256, np.int64)
    for plane in labels:
        counts += np.bincount(plane.ravel(), minlength=256)
    return {name: float(counts[number]) * voxel_ml for name, number in scheme.labels.items()}
