"""Rules that turn what is known of the training cases into a plan: grid, patch, depth, widths and batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from medseg.values.error import wrong_setting

Triple = tuple[int, int, int]
SMALLEST_LEVEL = 4
COARSE = 3.0
BYTES_PER_FEATURE = 4 * 6  # float32; two convolutions, each with its output, its normalised and its activated copy
BATCHES = {3: 2, 2: 16}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the settings ask of the plan; None leaves the choice to the rules."""

    dimensions: int
    width: int
    widest: int
    levels: int | None
    patch: tuple[int, ...] | None
    batch: int | None
    plane: int | None
    memory_gb: float


def common_spacing(spacings_mm: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    """Return the grid for all cases: the median spacing of each axis.

    Where one axis is more than 3 times coarser than the finest, its 10th percentile is taken instead, so that the
    sharper scans are not blurred to the median. Source: nnU-Net, Isensee et al. 2021, with the same threshold.
    """
    spacings = np.asarray(spacings_mm, np.float64)
    spacing = np.median(spacings, axis=0)
    worst = int(np.argmax(spacing))
    others = np.delete(spacing, worst)
    if spacing[worst] > COARSE * others.min():
        spacing[worst] = max(np.percentile(spacings[:, worst], 10), others.max())
    x, y, z = (round(float(edge), 6) for edge in spacing)
    return x, y, z


def slice_axis(spacing_mm: Sequence[float], shape: Sequence[int]) -> int:
    """Return the axis that 2D slices are cut across: the coarsest one, of equals the one with fewest voxels, then z."""
    coarsest = max(spacing_mm)
    candidates = [axis for axis in range(3) if spacing_mm[axis] > 0.99 * coarsest]
    return min(candidates, key=lambda axis: (shape[axis], -axis))


def plan_patch(shape: Sequence[int], spacing_mm: Sequence[float], wishes: Wishes) -> tuple[Triple, list[Triple], int]:
    """Return the patch `(3,)`, the strides per level (three numbers each, ones at level 0) and the batch.

    shape: median voxels per axis of the prepared training cases. A patch that the user gave is kept as it is, and
    refused where no axis can be halved; a planned one covers the median case and shrinks along its relatively
    longest axis until the training step fits in `wishes.memory_gb`.
    """
    fixed = _as_triple(wishes)
    batch = wishes.batch or BATCHES[wishes.dimensions]
    if fixed is not None:
        return fixed, plan_strides(fixed, spacing_mm, wishes), batch
    covered = [1 if axis == wishes.plane else size for axis, size in enumerate(shape)]
    if max(covered) < 2 * SMALLEST_LEVEL:  # so that there is a coarser level even for the smallest scans
        covered[covered.index(max(covered))] = 2 * SMALLEST_LEVEL
    patch = _fitted(covered, spacing_mm, wishes)
    while memory_gb(patch, plan_strides(patch, spacing_mm, wishes), wishes, batch) > wishes.memory_gb:
        smaller = _shrunk(patch, shape, spacing_mm, wishes)
        if smaller == patch:
            break
        patch = smaller
    return patch, plan_strides(patch, spacing_mm, wishes), batch


def plan_strides(patch: Triple, spacing_mm: Sequence[float], wishes: Wishes) -> list[Triple]:
    """Return the step of each level: an axis is halved while 4 voxels remain and no other is 2 times finer."""
    size, spacing = list(patch), [float(edge) for edge in spacing_mm]
    strides: list[Triple] = [(1, 1, 1)]
    most = wishes.levels or (6 if wishes.dimensions == 3 else 7)
    while len(strides) < most:
        open_axes = [axis for axis in range(3) if size[axis] >= 2 * SMALLEST_LEVEL and size[axis] % 2 == 0]
        if not open_axes:
            break
        finest = min(spacing[axis] for axis in open_axes)
        x, y, z = (2 if axis in open_axes and spacing[axis] < 2 * finest else 1 for axis in range(3))
        strides.append((x, y, z))
        size = [length // step for length, step in zip(size, (x, y, z), strict=True)]
        spacing = [edge * step for edge, step in zip(spacing, (x, y, z), strict=True)]
    _check_levels(patch, len(strides), wishes)
    return strides


def _check_levels(patch: Triple, levels: int, wishes: Wishes) -> None:
    if levels == 1:
        rule = f"a patch is even and {2 * SMALLEST_LEVEL} voxels or longer along one axis, to be halved there"
        near = [max(2 * SMALLEST_LEVEL, size - size % 2) for axis, size in enumerate(patch) if axis != wishes.plane]
        shown = [size for axis, size in enumerate(patch) if axis != wishes.plane]
        raise wrong_setting("patches.size", rule, shown, f"set e.g. {near}")
    if wishes.levels and levels < wishes.levels:
        step = 2 ** (wishes.levels - 1)
        remedy = f"lower network.levels, or set patches.size to multiples of {step}, {SMALLEST_LEVEL * step} or more"
        raise wrong_setting("network.levels", f"the patch {patch} allows {levels} levels", wishes.levels, remedy)


def plan_kernels(strides: Sequence[Triple], spacing_mm: Sequence[float], plane: int | None) -> list[Triple]:
    """Return the kernel of each level: 1 along an axis while it is 2 times coarser than the finest one, then 3.

    `plane` (2D) is left out of the comparison and gets 1.
    """
    spacing = [float(edge) for edge in spacing_mm]
    wide = [False, False, False]
    kernels: list[Triple] = []
    for stride in strides:
        spacing = [edge * step for edge, step in zip(spacing, stride, strict=True)]
        finest = min(edge for axis, edge in enumerate(spacing) if axis != plane)
        wide = [axis != plane and (wide[axis] or edge < 2 * finest) for axis, edge in enumerate(spacing)]
        x, y, z = (3 if axis else 1 for axis in wide)
        kernels.append((x, y, z))
    return kernels


def features(levels: int, wishes: Wishes) -> tuple[int, ...]:
    """Return the widths of the levels: doubled from one to the next, up to the widest."""
    return tuple(min(wishes.width * 2**level, wishes.widest) for level in range(levels))


def memory_gb(patch: Triple, strides: Sequence[Triple], wishes: Wishes, batch: int) -> float:
    """Estimate what one training step holds in memory: the activations of the encoder and the decoder, in GB."""
    total, size = 0.0, list(patch)
    for stride, width in zip(strides, features(len(strides), wishes), strict=True):
        size = [length // step for length, step in zip(size, stride, strict=True)]
        total += 2 * width * prod(size) * BYTES_PER_FEATURE
    return batch * total / 1e9


def _as_triple(wishes: Wishes) -> Triple | None:
    if wishes.patch is None:
        return None
    if len(wishes.patch) != wishes.dimensions:
        raise wrong_setting(
            "patches.size",
            f"a {wishes.dimensions}D network takes {wishes.dimensions} numbers",
            list(wishes.patch),
            "give one size per axis",
        )
    sizes = list(wishes.patch)
    if wishes.plane is not None:
        sizes.insert(wishes.plane, 1)
    x, y, z = sizes
    return x, y, z


def _fitted(shape: Sequence[int], spacing_mm: Sequence[float], wishes: Wishes) -> Triple:
    """Round the sizes up to what the strides divide; these follow from the rounded sizes, so repeat until still."""
    size = [max(1, int(length)) for length in shape]
    for _ in range(8):
        x, y, z = (length if length < 2 * SMALLEST_LEVEL else length + length % 2 for length in size)
        wanted = _divisible((x, y, z), spacing_mm, wishes)
        if list(wanted) == size:
            break
        size = list(wanted)
    x, y, z = size
    return x, y, z


def _divisible(size: Triple, spacing_mm: Sequence[float], wishes: Wishes) -> Triple:
    total = [1, 1, 1]
    spacing = [float(edge) for edge in spacing_mm]
    for _ in range((wishes.levels or 6) - 1):
        axes = [axis for axis in range(3) if size[axis] / total[axis] >= 2 * SMALLEST_LEVEL]
        if not axes:
            break
        finest = min(spacing[axis] * total[axis] for axis in axes)
        for axis in axes:
            total[axis] *= 2 if spacing[axis] * total[axis] < 2 * finest else 1
    x, y, z = (-(-length // step) * step for length, step in zip(size, total, strict=True))
    return x, y, z


def _shrunk(patch: Triple, shape: Sequence[int], spacing_mm: Sequence[float], wishes: Wishes) -> Triple:
    """Take one step of the largest stride off the axis that covers most of its median size."""
    strides = plan_strides(patch, spacing_mm, wishes)
    total = [prod(stride[axis] for stride in strides) for axis in range(3)]
    axes = [axis for axis in range(3) if patch[axis] > max(2 * SMALLEST_LEVEL, total[axis])]
    if not axes:
        return patch
    axis = max(axes, key=lambda one: (patch[one] / shape[one], patch[one]))
    sizes = list(patch)
    sizes[axis] -= total[axis]
    return _fitted(sizes, spacing_mm, wishes) if sizes[axis] > 0 else patch
