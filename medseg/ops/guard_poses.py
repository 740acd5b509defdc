"""Whether the pictures of a scan fit better when they are turned, or when two channels change places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, permutations, product
from typing import TypeVar

import numpy as np

from medseg.ops.guard_pictures import PictureModel, fit_pictures
from medseg.ops.orientation import Orientation, orientate
from medseg.ops.sighting import MINIATURE
from medseg.values.volume import Array, BoolArray, FloatArray

_UPRIGHT = "RAS"
_PAIRS = ("LR", "PA", "IS")
_FOLDS = 10
_LEAST = 1e-6

Models = Mapping[str, PictureModel]
Key = TypeVar("Key", str, tuple[str, str])


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Miniatures of N scans by channel name, each (N, 512), and which scans have the channel, (N,)."""

    rows: Mapping[str, FloatArray]
    present: Mapping[str, BoolArray]

    def __len__(self) -> int:
        return len(next(iter(self.rows.values())))

    def chosen(self, places: Array) -> Pictures:
        """Return some of the scans."""
        rows = {name: rows[places] for name, rows in self.rows.items()}
        return Pictures(rows, {name: present[places] for name, present in self.present.items()})


@dataclass(frozen=True, slots=True, eq=False)
class Fits:
    """How well N scans fit: natural logarithms of misfits, all (N,); NaN where a scan lacks the channels.

    misfit: of each channel, in the given pose.  poses: misfit of all channels in another pose less that in the given
    one, by the letters of the axes; below 0 the other fits better.  pairs: the same for two exchanged channels.
    """

    misfit: dict[str, FloatArray]
    poses: dict[str, FloatArray]
    pairs: dict[tuple[str, str], FloatArray]


@cache
def poses() -> dict[str, Array]:
    """Return the 47 other ways in which the axes of a miniature may run, and what reading it that way rearranges.

    `rows[:, poses()["LAS"]]` are miniatures (N, 512) whose first axis runs to the left, turned upright.
    """
    places = np.arange(MINIATURE**3).reshape((MINIATURE,) * 3)
    found: dict[str, Array] = {}
    for (first, second, third), (x, y, z) in product(permutations(range(3)), product((False, True), repeat=3)):
        turn = Orientation(permutation=(first, second, third), flips=(x, y, z))
        found[turn.letters] = orientate(places, turn).ravel()
    del found[_UPRIGHT]
    return found


def turned_sizes(sizes: Sequence[float], letters: str) -> tuple[float, ...]:
    """Return the sizes along Right, Anterior and Superior of a scan whose three axes run along `letters`."""
    return tuple(sizes[next(axis for axis in range(3) if letters[axis] in pair)] for pair in _PAIRS)


def changes(letters: str) -> int:
    """Count what is different from upright axes: axes exchanged count more than axes reversed."""
    moved = sum(letter not in pair for letter, pair in zip(letters, _PAIRS, strict=True))
    return 4 * moved + sum(letter not in _UPRIGHT for letter in letters)


def fit_models(pictures: Pictures, most: int) -> dict[str, PictureModel]:
    """Learn every channel that at least two scans have."""
    enough = [name for name, present in pictures.present.items() if present.sum() > 1]
    return {name: fit_pictures(pictures.rows[name][pictures.present[name]], most) for name in enough}


def fits(pictures: Pictures, models: Models) -> Fits:
    """Hold the pictures of N scans against models, as they are, in every other pose, and with channels exchanged."""
    given = misfits(pictures, models)
    total = _sum(given)
    turned = {letters: np.log(_sum(misfits(pictures, models, order)) / total) for letters, order in poses().items()}
    pairs = {}
    for one, other in combinations(given, 2):
        exchanged = _misfit(pictures, models, one, other) + _misfit(pictures, models, other, one)
        pairs[one, other] = np.log(exchanged / (given[one] + given[other]))
    return Fits({name: np.log(values) for name, values in given.items()}, turned, pairs)


def cross_fits(pictures: Pictures, most: int) -> Fits:
    """Hold training scans against models that were learned without them, a tenth of them (or one of few) at a time."""
    folds = np.arange(len(pictures)) % min(_FOLDS, len(pictures))
    parts = []
    for fold in range(int(folds.max()) + 1):
        models = fit_models(pictures.chosen(np.flatnonzero(folds != fold)), most)
        parts.append(fits(pictures.chosen(np.flatnonzero(folds == fold)), models))
    return Fits(
        _joined([part.misfit for part in parts]),
        _joined([part.poses for part in parts]),
        _joined([part.pairs for part in parts]),
    )


def misfits(pictures: Pictures, models: Models, order: Array | None = None) -> dict[str, FloatArray]:
    """Return how far the pictures of each channel, rearranged by `order`, are from its model (N,)."""
    return {name: _misfit(pictures, models, name, name, order) for name in pictures.rows}


def _misfit(pictures: Pictures, models: Models, model: str, channel: str, order: Array | None = None) -> FloatArray:
    """Return how far the pictures of a channel, rearranged, are from a model (N,); NaN where one of them is lacking."""
    rows = pictures.rows[channel] if order is None else pictures.rows[channel][:, order]
    if model not in models:
        return np.full(len(rows), np.nan)
    return np.where(pictures.present[channel], np.maximum(models[model].misfit(rows), _LEAST), np.nan)


def _sum(misfits: Mapping[str, FloatArray]) -> FloatArray:
    """Add up the channels that a scan has; NaN where it has none."""
    table = np.stack(list(misfits.values()))
    return np.where(np.isnan(table).all(axis=0), np.nan, np.nansum(table, axis=0))


def _joined(parts: Sequence[Mapping[Key, FloatArray]]) -> dict[Key, FloatArray]:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
