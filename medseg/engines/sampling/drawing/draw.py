"""Draw patches as plain numbers: which case, where, turned how, and how bright. Nothing is read or cut here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from medseg.engines.sampling.cutting.elastic import draw_elastic
from medseg.engines.sampling.drawing.changes import blank_channels, intensities, random_table
from medseg.engines.sampling.drawing.drawn import Draw, Elastic, Intensity
from medseg.engines.sampling.drawing.shapes import CaseShape, picked
from medseg.engines.sampling.drawing.turns import turned
from medseg.engines.sampling.settings import AugmentSettings, PatchSettings
from medseg.values.error import wrong_setting
from medseg.values.streams import stream
from medseg.values.volume import FloatArray

__all__ = ["CaseShape", "Draw", "Elastic", "Intensity", "draw_batch", "foreground_count"]
_PLACE, _TURN, _BEND = slice(0, 6), slice(6, 18), slice(18, 20)  # which random numbers decide about what
_NUMBERS = 20


@dataclass(frozen=True, slots=True, eq=False)
class _Choice:
    """The cases that a patch can be of: their numbers and their cumulated weights."""

    numbers: list[int]
    cumulated: list[float]

    @classmethod
    def among(cls, cases: Sequence[CaseShape], labelled: bool) -> _Choice:
        numbers = [n for n, case in enumerate(cases) if case.weight > 0 and (case.labelled or not labelled)]
        return cls(numbers, list(accumulate(cases[number].weight for number in numbers)))

    def at(self, number: float) -> int:
        return self.numbers[picked(self.cumulated, number)]


def draw_batch(
    seed: int,
    step: int,
    cases: Sequence[CaseShape],
    patch: Sequence[int],
    batch: int,
    patches: PatchSettings,
    augment: AugmentSettings,
) -> tuple[Draw, ...]:
    """Draw the patches of one step; patch `index` depends on (seed, step, index) only.

    patch: three numbers, 1 along the axis that 2D slices are cut across. The first patches of a batch lie on
    labelled voxels. Refuses a share of such patches when no case has any, and weights that leave no case.
    """
    forced = foreground_count(patches.tumour_share, batch)
    choices = {labelled: _Choice.among(cases, labelled) for labelled in {forced > 0, forced == batch}}
    _check(cases, choices, patches)
    return tuple(
        _draw((seed, step, index), cases, choices[index < forced], patch, augment, index < forced)
        for index in range(batch)
    )


def foreground_count(share: float, batch: int) -> int:
    """Return how many patches of a batch lie on labelled voxels: the rounded share, at least 1 when it is above 0."""
    return max(1, round(share * batch)) if share > 0 else 0


def _check(cases: Sequence[CaseShape], choices: dict[bool, _Choice], patches: PatchSettings) -> None:
    if True in choices and not any(case.labelled for case in cases):
        raise wrong_setting("patches.tumour_share", "a training case has labelled voxels", patches.tumour_share,
                            "set patches.tumour_share=0 or add cases with labels")  # fmt: skip
    for labelled, choice in choices.items():
        if not choice.numbers:
            kind = "a training case with labelled voxels" if labelled else "a training case"
            raise wrong_setting("patches.case_weights", f"{kind} has a weight above 0", patches.case_weights,
                                "raise a weight")  # fmt: skip


def _draw(
    name: tuple[int, int, int],
    cases: Sequence[CaseShape],
    choice: _Choice,
    patch: Sequence[int],
    augment: AugmentSettings,
    forced: bool,
) -> Draw:
    """Draw one patch. How many numbers are taken does not depend on the settings, so none shifts the others' draws."""
    seed, step, index = name
    generator = stream(seed, "patch", step, index)
    numbers = generator.random(_NUMBERS)
    number = choice.at(float(numbers[0]))
    case, size = cases[number], np.asarray(patch)
    matrix = turned(numbers[_TURN], size, case.spacing_mm, augment)
    voxel, centre, anchor = _placed(numbers[_PLACE], case, size, matrix, forced)
    table, noise = random_table(generator, case.channels), int(generator.integers(2**62))
    chance, strength = numbers[_BEND].tolist()
    elastic = None
    if chance < augment.elastic.probability:
        bend = stream(seed, "elastic", step, index)
        force = augment.elastic.strength(strength)
        elastic = draw_elastic(bend, size, case.spacing_mm, augment.elastic, force, anchor)
    changes = intensities(table, augment, lambda: stream(seed, "bias", step, index))
    blank = blank_channels(generator.random(case.channels + 1), case.missing, augment.channel_dropout.chance)
    x, y, z = centre.tolist()
    rows = [(a, b, c) for a, b, c in matrix.tolist()]
    return Draw(number, (x, y, z), (rows[0], rows[1], rows[2]), changes, noise, voxel, blank, elastic)


def _placed(
    numbers: FloatArray, case: CaseShape, size: NDArray[np.integer], matrix: FloatArray, forced: bool
) -> tuple[tuple[int, int, int] | None, FloatArray, FloatArray]:
    """Return the labelled voxel, the centre (3,) and what must stay where it is, as an offset from the middle."""
    if not forced:
        return None, _anywhere(numbers[3:], case.shape, size), np.zeros(3)
    voxel = case.seed(float(numbers[1]), float(numbers[2]))
    centre, offset = _around(numbers[3:], np.asarray(voxel), matrix, case.shape, size)
    return voxel, centre, offset


def _anywhere(numbers: FloatArray, shape: Sequence[int], size: NDArray[np.integer]) -> FloatArray:
    """Place the patch inside the image, or the image inside the patch where the patch is the larger one."""
    spare = np.asarray(shape) - size
    low, high = np.minimum(0, spare), np.maximum(0, spare)
    return np.asarray(low + np.floor(numbers * (high - low + 1)) + (size - 1) / 2)


def _around(
    numbers: FloatArray,
    voxel: NDArray[np.integer],
    matrix: FloatArray,
    shape: Sequence[int],
    size: NDArray[np.integer],
) -> tuple[FloatArray, FloatArray]:
    """Place `voxel` in the middle half of the patch; then shift the patch into the image if that keeps the voxel.

    Return the centre, and the offset of the voxel from the middle of the patch.
    """
    middle = (size - 1) / 2
    quarter = size // 4
    offset = quarter + np.floor(numbers * (size - 2 * quarter)) - middle
    centre: FloatArray = voxel - matrix @ offset
    far = np.asarray(shape) - 1 - middle
    shifted = np.clip(centre, np.minimum(middle, far), np.maximum(middle, far))
    landed = np.linalg.solve(matrix, voxel - shifted)
    return (shifted, landed) if np.all(np.abs(landed) <= middle + 1e-6) else (centre, offset)
