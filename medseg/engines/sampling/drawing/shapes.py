"""What drawing needs of the cases: their grids, how often they are drawn, and which of their voxels are labelled."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import accumulate
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medseg.engines.sampling.settings import PatchSettings
from medseg.files.prepared import PreparedCase
from medseg.values.error import Refusal, wrong_setting

Balance = Literal["class", "lesion", "voxel"]


@dataclass(frozen=True, slots=True, eq=False)
class CaseShape:
    """What drawing needs of a case: its grid, its channels and `seeds`: a group of labelled voxels -> voxels (N, 3).

    `missing` are indices of channels that it lacks. Cases are drawn by `weight`, groups by `odds` (1 where it has
    none): the groups are classes, or lesions, as the patches are balanced.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    channels: int
    seeds: Mapping[int, NDArray[np.integer]]
    missing: tuple[int, ...] = ()
    weight: float = 1.0
    odds: Mapping[int, float] = field(default_factory=dict)
    _groups: tuple[int, ...] = field(init=False, repr=False)
    _cumulated: tuple[float, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        groups = tuple(sorted(group for group, voxels in self.seeds.items() if len(voxels)))
        object.__setattr__(self, "_groups", groups)
        object.__setattr__(self, "_cumulated", tuple(accumulate(self.odds.get(group, 1.0) for group in groups)))

    @property
    def labelled(self) -> bool:
        """Whether any voxel is labelled."""
        return bool(self._groups)

    def seed(self, group: float, place: float) -> tuple[int, int, int]:
        """Return the labelled voxel at two numbers in 0 <= number < 1: which group, and where in it."""
        voxels = self.seeds[self._groups[picked(self._cumulated, group)]]
        x, y, z = voxels[int(place * len(voxels))].tolist()
        return x, y, z


def picked(cumulated: Sequence[float], number: float) -> int:
    """Return which of things with these cumulated weights lies at 0 <= number < 1 of their sum."""
    return min(bisect(cumulated, number * cumulated[-1]), len(cumulated) - 1)


def shape_of(case: PreparedCase, balance: Balance = "class", weight: float = 1.0) -> CaseShape:
    """Return what drawing needs of a prepared case. Refuses one whose lesions are not told apart if they must be."""
    x, y, z = case.classes.shape
    seeds: Mapping[int, NDArray[np.integer]] = case.seeds
    odds: dict[int, float] = {}
    if balance == "voxel":
        odds = {index: float(case.voxels.get(index, len(voxels))) for index, voxels in seeds.items()}
    elif balance == "lesion":
        seeds = _by_lesion(case)
    return CaseShape((x, y, z), case.spacing_mm, case.image.shape[0], seeds, case.missing, weight, odds)


def shapes_of(cases: Sequence[PreparedCase], patches: PatchSettings) -> list[CaseShape]:
    """Return what drawing needs of the cases, as `patches` balances and weighs them."""
    return [shape_of(case, patches.balance, patches.case_weights.get(case.case, 1.0)) for case in cases]


def check_case_weights(patches: PatchSettings, known: Collection[str]) -> None:
    """Refuse weights of cases that are not among `known` ones: a name misspelt would change nothing."""
    for name in patches.case_weights:
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.4)
            remedy = f"take it out, or did you mean '{near[0]}'?" if near else "take it out"
            raise wrong_setting("patches.case_weights", "names cases of training or validation, none that is held out",
                                repr(name), remedy)  # fmt: skip


def _by_lesion(case: PreparedCase) -> dict[int, NDArray[np.integer]]:
    """Sort the seeds of a case by lesion: lesion -> voxels (N, 3)."""
    kinds = sorted(case.seeds)
    if any(len(case.lesions.get(kind, ())) != len(case.seeds[kind]) for kind in kinds):
        found = f"{sum(map(len, case.lesions.values()))} for {sum(map(len, case.seeds.values()))} seeds"
        raise Refusal(case.case, "every seed knows its lesion", found, "run prepare again or set patches.balance=class")
    if not kinds:
        return {}
    lesions = np.concatenate([case.lesions[kind] for kind in kinds])
    voxels = np.concatenate([case.seeds[kind] for kind in kinds])[np.argsort(lesions, kind="stable")]
    names, sizes = np.unique(lesions, return_counts=True)
    return dict(zip(names.tolist(), np.split(voxels, np.cumsum(sizes)[:-1]), strict=True))
