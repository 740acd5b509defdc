"""Scores of whole validation scans during training, in a bounded share of the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import monotonic

import numpy as np

from medseg.files.prepared import PreparedCase
from medseg.values.labels import IGNORED
from medseg.values.streams import stream
from medseg.values.volume import Array, BoolArray, FloatArray

TIME_SHARE = 0.08  # of a budget in minutes
Table = Sequence[Sequence[bool]]


def validation_order(seed: int, cases: Sequence[PreparedCase]) -> list[PreparedCase]:
    """Return the cases that hold a labelled voxel, shuffled by seed; the others have no Dice to speak of."""
    labelled = sorted((case for case in cases if any(map(len, case.seeds.values()))), key=lambda case: case.case)
    return [labelled[place] for place in stream(seed, "validation").permutation(len(labelled))]


def case_dice(
    scores: FloatArray, classes: Array, membership: Table | None, annotated: Sequence[int] | None = None
) -> float | None:
    """Return the mean Dice of the classes (or, with `membership`, regions) present in the truth; None if none is.

    scores: `(outputs, X, Y, Z)` probabilities.  classes: `(X, Y, Z)` class indices, 0 = background; voxels that are
    `IGNORED` are left out.  annotated: the foreground classes that were looked for in this case, None for all; other
    classes, and regions that hold one of them, are left out.
    With a membership table (regions x classes) an output counts where it is above 0.5, else where it is the largest.
    """
    counted = classes != IGNORED
    unknown = set() if annotated is None else set(range(1, IGNORED)) - set(annotated)
    if membership is None:
        found = scores.argmax(0)
        known = [index for index in range(1, len(scores)) if index not in unknown]
        pairs = [(found == index, classes == index) for index in known]
    else:
        members = [{index for index, inside in enumerate(row) if inside} for row in membership]
        named = [(score, row) for score, row in zip(scores, members, strict=True) if not row & unknown]
        pairs = [(score > 0.5, np.isin(classes, sorted(row))) for score, row in named]
    values = [_dice(found & counted, truth) for found, truth in pairs if truth.any()]
    return float(np.mean(values)) if values else None


def _dice(found: BoolArray, truth: BoolArray) -> float:
    both = np.count_nonzero(found & truth)
    return 2.0 * both / (np.count_nonzero(found) + np.count_nonzero(truth))


def score_cases(
    cases: Sequence[PreparedCase], score: Callable[[PreparedCase], float | None], seconds: float | None
) -> Iterator[tuple[str, float | None]]:
    """Yield the Dice of case after case; after `seconds` no further case is begun (None: no limit)."""
    started = monotonic()
    for case in cases:
        yield case.case, score(case)
        if seconds is not None and monotonic() - started >= seconds:
            return


def affordable(spent: float, scored: int, budget: float | None) -> bool:
    """Return whether a validation before the last one leaves time for the last one.

    spent: seconds in the `scored` ones so far.  budget: seconds of training, None where steps are counted: always.
    """
    if budget is None or scored == 0:
        return True
    return spent * (1 + 2 / scored) <= TIME_SHARE * budget
