"""Scores of whole validation scans during training, dealt to all processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from math import isnan

import numpy as np
import torch

from medseg.engines.ranks import Ranks
from medseg.engines.training.agenda import (
    FORWARD,
    Moment,
    affordable,
    counted_agenda,
    counts_steps,
    points_passed,
    seconds_in_all,
    timed_agenda,
)
from medseg.engines.training.keeping.state import Tally
from medseg.engines.training.rules import Rules
from medseg.files.prepared import PreparedCase
from medseg.values.labels import IGNORED
from medseg.values.streams import stream
from medseg.values.volume import Array, BoolArray, FloatArray

Table = Sequence[Sequence[bool]]


@dataclass(frozen=True, slots=True, eq=False)
class Examination:
    """The validation cases in the order of scoring, how many windows each takes, and what gives a case's Dice."""

    cases: Sequence[PreparedCase]
    windows: Sequence[int]
    score: Callable[[PreparedCase], float | None]


def validation_order(seed: int, cases: Sequence[PreparedCase]) -> list[PreparedCase]:
    """Return the cases that hold a labelled voxel, shuffled by seed; the others have no Dice to speak of."""
    labelled = sorted((case for case in cases if any(map(len, case.seeds.values()))), key=lambda case: case.case)
    return [labelled[place] for place in stream(seed, "validation").permutation(len(labelled))]


def case_dice(
    parts: Iterable[tuple[FloatArray, Array]], membership: Table | None, annotated: Sequence[int] | None = None
) -> float | None:
    """Return the mean Dice of the classes (or, with `membership`, regions) present in the truth; None if none is.

    parts: of the volume, together all of it, each as scores `(outputs, X, Y, Z)`, which are probabilities, and classes
    `(X, Y, Z)`, class indices with 0 = background; voxels that are `IGNORED` are left out.  annotated: the foreground
    classes that were looked for in this case, None for all; other classes, and regions that hold one of them, are left
    out. With a membership table (regions x classes) an output counts where it is above 0.5, else where it is the
    largest.
    """
    unknown = set() if annotated is None else set(range(1, IGNORED)) - set(annotated)
    counts = [_counts(scores, classes, membership, unknown) for scores, classes in parts]
    values = [2.0 * both / (found + true) for both, found, true in np.sum(counts, 0).tolist() if true]
    return float(np.mean(values)) if values else None


def _counts(scores: FloatArray, classes: Array, membership: Table | None, unknown: Set[int]) -> list[list[int]]:
    """Count the voxels of each class or region: found rightly, found, and there; what is `unknown` is left out."""
    counted = classes != IGNORED
    if membership is None:
        largest = scores.argmax(0)
        members = [{index} for index in range(1, len(scores))]
        pairs = ((largest == index, classes == index) for index in range(1, len(scores)))
    else:
        members = [{index for index, inside in enumerate(row) if inside} for row in membership]
        pairs = ((score > 0.5, np.isin(classes, sorted(row))) for score, row in zip(scores, members, strict=True))
    return [_row(found & counted, true) for (found, true), row in zip(pairs, members, strict=True) if not row & unknown]


def _row(found: BoolArray, true: BoolArray) -> list[int]:
    return [np.count_nonzero(part) for part in (found & true, found, true)]


def cases_due(tally: Tally, share: float, rules: Rules, examination: Examination, last: bool) -> int:
    """Return how many cases to score after a step, at a share of the budget; 0 where none is due, or it is too dear.

    last: whether training ends here without a validation of its last step.
    """
    training, windows = rules.training, examination.windows
    now = Moment(tally.step, tally.elapsed, share)
    point = points_passed(now, training)
    if not windows or not (last or point > tally.points):
        return 0
    if counts_steps(training):
        agenda = counted_agenda(windows, rules.batch, training)
        return agenda.cases if last or agenda.takes(point) else 0
    window = FORWARD * tally.elapsed / max(1, tally.step * rules.batch)
    if tally.cases is not None:
        window = tally.validation_seconds / tally.scored / sum(windows[: tally.cases])
    cases = tally.cases or timed_agenda(windows, window, now, training).cases
    each, total = window * sum(windows[:cases]), seconds_in_all(now, training)
    return cases if last or affordable(tally.validation_seconds, each, total) else 0


def score_cases(
    examination: Examination, count: int, ranks: Ranks, between: Callable[[], None]
) -> Mapping[str, float | None]:
    """Return the Dice of the first `count` cases, None where a case has none: the same in every process.

    Each process scores its share; `between` is called after each case.
    """
    values = torch.zeros(count, dtype=torch.float64)
    for place in ranks.deal(range(count)):
        dice = examination.score(examination.cases[place])
        values[place] = float("nan") if dice is None else dice
        between()
    joined = ranks.add(values).tolist()
    names = [case.case for case in examination.cases[:count]]
    return {name: None if isnan(value) else value for name, value in zip(names, joined, strict=True)}
