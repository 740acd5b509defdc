"""Which clean-up of label maps helps on validation cases: tried one by one, and taken only when it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medseg.ops.postprocessing import Postprocessing, postprocess
from medseg.ops.scoring.overlap import confusion, union_box
from medseg.values.labels import IGNORED, LabelScheme
from medseg.values.settings import Settings
from medseg.values.volume import Array

FEWEST_CASES = 4
RISE = 0.002
LADDER_MM3 = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
_MOST_REGIONS = 8  # more of them are tried all at once


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A segmented validation case: class indices (X, Y, Z) uint8 as found and as they should be, on one grid.

    In the truth `IGNORED` counts nowhere; `annotated` are the classes that were looked for in it, None for all.
    """

    predicted: Array
    truth: Array
    spacing_mm: tuple[float, float, float]
    annotated: tuple[int, ...] | None = None


class Trial(Settings):
    """A clean-up that was tried: the mean Dice with it, and how many cases it makes better and worse than before it."""

    postprocessing: Postprocessing
    dice: float
    better: int
    worse: int


class Choice(Settings):
    """What was chosen (None: nothing helps, or too few cases), the mean Dice without it, and all that was tried."""

    taken: Postprocessing | None = None
    dice: float | None = None
    trials: tuple[Trial, ...] = ()


def choose_postprocessing(cases: Sequence[Callable[[], Judged]], scheme: LabelScheme) -> Choice:
    """Return the clean-up that raises the mean Dice of validation cases; each is asked for anew whenever it is needed.

    Starting with nothing, the best of these is added as long as one of them helps: a minimum volume of parts, filled
    holes, the largest part alone; each for one region, or for all at once where there are more than eight. It helps
    when the mean rises by more than 0.002 and no more cases get worse than better. The Dice of a case is the mean over
    the regions whose labels were all looked for, where a rightly empty one counts 1: see `region_dices`. Needs four
    cases with such a region.
    """
    taken, trials = Postprocessing(), list[Trial]()
    before = _dices(cases, scheme, [taken])[:, 0]
    if np.isfinite(before).sum() < FEWEST_CASES:
        return Choice()
    start = float(np.nanmean(before))
    while candidates := list(_candidates(taken, scheme)):
        tried = _dices(cases, scheme, candidates)
        rounds = [_trial(one, before, tried[:, place]) for place, one in enumerate(candidates)]
        trials += rounds
        mean = float(np.nanmean(before))
        helping = [place for place, one in enumerate(rounds) if one.dice > mean + RISE and one.better >= one.worse]
        if not helping:
            break
        best = max(helping, key=lambda place: rounds[place].dice)  # the first, mildest one of equals
        taken, before = candidates[best], tried[:, best]
    return Choice(taken=None if taken == Postprocessing() else taken, dice=start, trials=tuple(trials))


def region_dices(judged: Judged, predicted: Array, scheme: LabelScheme) -> dict[str, float | None]:
    """Return the Dice of each region of which all labels were looked for; None where both sides are empty.

    Voxels that nobody annotated count nowhere.
    """
    table = _table(predicted, judged.truth, len(scheme.values))
    missed = set() if judged.annotated is None else set(range(1, IGNORED)) - set(judged.annotated)
    found: dict[str, float | None] = {}
    for name, labels in scheme.regions.items():
        own = sorted({scheme.values.index(label) for label in labels})
        if not missed.intersection(own):
            both, sizes = table[np.ix_(own, own)].sum(), table[own].sum() + table[:, own].sum()
            found[name] = float(2 * both / sizes) if sizes else None
    return found


def _table(predicted: Array, truth: Array, classes: int) -> Array:
    """Count pairs of true (row) and predicted (column) classes where one of them is foreground."""
    counted = truth != IGNORED
    box = union_box(counted & (truth > 0), counted & (predicted > 0))
    if box is None:
        return np.zeros((classes, classes), np.int64)
    inside = counted[box]
    return confusion(truth[box][inside], predicted[box][inside], classes)


def _dices(cases: Sequence[Callable[[], Judged]], scheme: LabelScheme, candidates: Sequence[Postprocessing]) -> Array:
    """Return the Dice (cases, candidates) of each case under each clean-up; NaN where a case has no known region."""
    return np.array([list(_row(case(), scheme, candidates)) for case in cases]).reshape(len(cases), len(candidates))


def _row(judged: Judged, scheme: LabelScheme, candidates: Sequence[Postprocessing]) -> Iterator[float]:
    untouched = _mean(region_dices(judged, judged.predicted, scheme))
    for candidate in candidates:
        cleaned = postprocess(judged.predicted, scheme, candidate, judged.spacing_mm)
        same = cleaned is judged.predicted
        yield untouched if same else _mean(region_dices(judged, cleaned, scheme))


def _mean(dices: Mapping[str, float | None]) -> float:
    """Return the mean over regions, 1 for those that are rightly empty."""
    return float(np.mean([1.0 if dice is None else dice for dice in dices.values()])) if dices else float("nan")


def _trial(candidate: Postprocessing, before: Array, after: Array) -> Trial:
    return Trial(
        postprocessing=candidate,
        dice=float(np.nanmean(after)),
        better=int(np.count_nonzero(after > before)),
        worse=int(np.count_nonzero(after < before)),
    )


def _candidates(taken: Postprocessing, scheme: LabelScheme) -> Iterator[Postprocessing]:
    """Yield what may be added to `taken`, the mildest first."""
    known: dict[frozenset[int], str] = {}
    for name, labels in scheme.regions.items():
        known.setdefault(frozenset(labels), name)
    names = list(known.values())
    for group in [(name,) for name in names] if len(names) <= _MOST_REGIONS else [tuple(names)]:
        if not taken.minimum_mm3.keys() & set(group):
            for volume in LADDER_MM3:
                minimum = {**taken.minimum_mm3, **dict.fromkeys(group, volume)}
                yield taken.model_copy(update={"minimum_mm3": minimum})
        for setting in ("fill_holes", "keep_largest"):
            before = getattr(taken, setting)
            if not set(group) & set(before):
                yield taken.model_copy(update={setting: (*before, *group)})
