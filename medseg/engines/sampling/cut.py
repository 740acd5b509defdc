"""Cut drawn patches out of prepared cases: crop, rotation, zoom and flips in one interpolation, on the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medseg.engines.sampling.draw import Draw
from medseg.files.prepared import PreparedCase
from medseg.values.labels import IGNORED
from medseg.values.volume import Array, FloatArray


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
    cases: Sequence[PreparedCase],
    patch: Sequence[int],
    plane: int | None,
    device: torch.device,
) -> Batch:
    """Cut the patches; outside of a case the image is 0 and the class is background.

    Only the box that a patch touches is read. Images are interpolated linearly, classes take the nearest voxel of the
    same positions; without rotation and zoom both are copied exactly. With `plane`, the axis of length 1 is dropped.
    """
    pairs = [_cut(draw, cases[draw.case], np.asarray(patch), plane, device) for draw in draws]
    images = torch.stack([image for image, _ in pairs])
    classes = torch.stack([classes for _, classes in pairs])
    return Batch(images, classes, _annotated([cases[draw.case] for draw in draws], device))


def _annotated(cases: Sequence[PreparedCase], device: torch.device) -> Tensor | None:
    """Return which classes were looked for in each case, None where all were in all."""
    if all(case.annotated is None for case in cases):
        return None
    flags = np.ones((len(cases), IGNORED + 1), np.bool_)
    for row, case in zip(flags, cases, strict=True):
        if case.annotated is not None:
            row[1:] = False
            row[list(case.annotated)] = True
    return _moved(flags, device)


def _cut(
    draw: Draw, case: PreparedCase, patch: Array, plane: int | None, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return one patch: image (C, *space) float32 and classes (*space) int64."""
    matrix, centre = np.asarray(draw.matrix), np.asarray(draw.centre)
    signs = np.diag(matrix)
    if np.array_equal(np.abs(matrix), np.eye(3)):
        image, classes = (_copied(array, centre, signs, patch, device) for array in (case.image, case.classes[None]))
    else:
        image, classes = _interpolated(case, centre, matrix, patch, plane, device)
    if plane is not None:
        image, classes = image.squeeze(plane + 1), classes.squeeze(plane + 1)
    return image.float(), classes[0].long()


def _copied(array: Array, centre: FloatArray, signs: FloatArray, patch: Array, device: torch.device) -> Tensor:
    """Crop `(C, X, Y, Z)` by indexing, zeros outside, and flip the axes of negative sign."""
    corner = np.rint(centre - (patch - 1) / 2).astype(int)
    start, stop = np.maximum(corner, 0), np.minimum(corner + patch, array.shape[1:])
    filled = np.zeros((array.shape[0], *patch), array.dtype)
    if np.all(start < stop):
        target = tuple(slice(a, b) for a, b in zip(start - corner, stop - corner, strict=True))
        filled[(slice(None), *target)] = array[(slice(None), *_box(start, stop))]
    tensor = _moved(filled, device)
    flipped = [axis + 1 for axis in range(3) if signs[axis] < 0]
    return tensor.flip(flipped) if flipped else tensor


def _interpolated(
    case: PreparedCase, centre: FloatArray, matrix: FloatArray, patch: Array, plane: int | None, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Sample the box around the turned patch; a slice is sampled in its plane, which `matrix` never leaves."""
    reach = np.abs(matrix) @ ((patch - 1) / 2)
    start = np.maximum(np.floor(centre - reach).astype(int) - 1, 0)
    stop = np.minimum(np.ceil(centre + reach).astype(int) + 2, case.classes.shape)
    if plane is not None:
        start[plane] = round(float(centre[plane]))
        stop[plane] = min(start[plane] + 1, stop[plane])
    if np.any(start < 0) or np.any(start >= stop):
        zeros = np.zeros((case.image.shape[0] + 1, *patch), np.float32)
        return _moved(zeros[:-1], device), _moved(zeros[-1:], device)
    box = _box(start, stop)
    image = _moved(np.array(case.image[(slice(None), *box)], np.float32), device)
    classes = _moved(np.array(case.classes[box][None], np.float32), device)
    axes = [axis for axis in range(3) if axis != plane]
    grid = _grid(centre - start, matrix, patch, stop - start, axes, device)
    return _sampled(image, grid, "bilinear", plane), _sampled(classes, grid, "nearest", plane)


def _sampled(box: Tensor, grid: Tensor, mode: str, plane: int | None) -> Tensor:
    flat = box if plane is None else box.squeeze(plane + 1)
    sampled = functional.grid_sample(flat[None], grid[None], mode=mode, padding_mode="zeros", align_corners=False)[0]
    return sampled if plane is None else sampled.unsqueeze(plane + 1)


def _grid(
    centre: FloatArray, matrix: FloatArray, patch: Array, size: Array, axes: Sequence[int], device: torch.device
) -> Tensor:
    """Return the positions `(*space, axes)` in the box as grid_sample counts: last axis first, -1..1 edge to edge."""
    columns = []
    for axis in reversed(axes):
        column = torch.full((1,) * len(axes), (2.0 * centre[axis] + 1.0) / size[axis] - 1.0, device=device)
        for place, other in enumerate(axes):
            offsets = np.arange(patch[other]) - (patch[other] - 1) / 2
            line = _moved((offsets * matrix[axis, other] * 2.0 / size[axis]).astype(np.float32), device)
            column = column + line.view([-1 if spot == place else 1 for spot in range(len(axes))])
        columns.append(column)
    return torch.stack(columns, -1)


def _box(start: Array, stop: Array) -> tuple[slice, ...]:
    return tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))


def _moved(array: Array, device: torch.device) -> Tensor:
    """Hand an array of our own to the device; the copy to CUDA does not make the caller wait."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
