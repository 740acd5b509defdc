"""Cut drawn patches out of prepared cases: crop, turning, zoom, flips and bending in one go, on the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from medseg.engines.sampling.cutting.bent import bent
from medseg.engines.sampling.cutting.sources import Source, moved
from medseg.engines.sampling.cutting.straight import copied, zoomed
from medseg.engines.sampling.drawing.drawn import Draw
from medseg.values.labels import IGNORED


class Batch(NamedTuple):
    """What one step learns from: images `(B, C, *space)` float32 and classes `(B, *space)` int64.

    Classes are `IGNORED` where nobody annotated. annotated: `(B, 256)` bool by class index, whether a class was looked
    for in the case that a patch is from, the background always; None where all classes were in all of them.
    """

    images: Tensor
    classes: Tensor
    annotated: Tensor | None = None


def cut(
    draws: Sequence[Draw],
    cases: Sequence[Source],
    patch: Sequence[int],
    plane: int | None,
    device: torch.device,
) -> Batch:
    """Cut the patches; outside of a case the image is 0 and the class is background.

    Only the box that a patch touches is read, from arrays or from tensors on the device. Images are interpolated
    linearly, classes take the nearest voxel of the same positions; without turning, zoom and bending both are copied
    exactly. With `plane`, the axis of length 1 is dropped. The caller does not wait for the device.
    """
    images = torch.empty((len(draws), cases[0].image.shape[0], *patch), device=device)
    classes = torch.empty((len(draws), *patch), dtype=torch.int64, device=device)
    for draw, image, kinds in zip(draws, images, classes, strict=True):
        _cut(draw, cases[draw.case], image, kinds, plane)
    if plane is not None:
        images, classes = images.squeeze(plane + 2), classes.squeeze(plane + 1)
    return Batch(images, classes, annotated_in([cases[draw.case] for draw in draws], device))


def annotated_in(cases: Sequence[Source], device: torch.device) -> Tensor | None:
    """Return which classes were looked for in each case, as in `Batch`; None where all were in all."""
    if all(case.annotated is None for case in cases):
        return None
    flags = np.ones((len(cases), IGNORED + 1), np.bool_)
    for row, case in zip(flags, cases, strict=True):
        if case.annotated is not None:
            row[1:] = False
            row[list(case.annotated)] = True
    return moved(flags, device)


def _cut(draw: Draw, case: Source, image: Tensor, classes: Tensor, plane: int | None) -> None:
    """Fill one patch: image (C, *patch) and classes (*patch)."""
    matrix, centre = np.asarray(draw.matrix), np.asarray(draw.centre)
    scales = np.diag(matrix)
    if draw.elastic is not None or np.any(matrix != np.diag(scales)):
        bent(case, draw, image, classes, plane)
    elif np.any(np.abs(scales) != 1):
        zoomed(case, centre, scales, image, classes)
    else:
        copied(case.image, centre, scales, image)
        copied(case.classes, centre, scales, classes)
