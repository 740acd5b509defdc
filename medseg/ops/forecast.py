"""The Dice that a segmentation will probably have, told from how sure the network was of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from medseg.ops.confidence import Confidence
from medseg.values.settings import Settings
from medseg.values.volume import FloatArray

FEWEST_CASES = 6
PLUG_IN = "expected_dice"
MEASURES = (PLUG_IN, "margin", "boundary_entropy", "agreement")
_STRENGTHS = (np.inf, 10.0, 1.0, 0.1, 0.01)  # how hard weights are held where they are without a fit
Measured = Mapping[str, float | None] | Confidence


class DiceForecast(Settings):
    """A line from measures of confidence to Dice, fitted on validation cases.

    Dice is about `offset` plus the sum of `weights` times the measures of the same name, kept within 0..1. `error` is
    the mean absolute error on cases left out of the fit, `cases` their number.
    """

    offset: float
    weights: dict[str, float]
    error: float
    cases: int


def fit_forecast(measures: Sequence[Measured], dices: Sequence[float | None]) -> DiceForecast | None:
    """Fit the Dice of cases to their measures of confidence, or return None below six cases to learn from.

    A case teaches something where it has a Dice and an `expected_dice`, so where foreground was found. The other
    measures take part as far as all such cases have them. Without a fit the forecast is `expected_dice` itself (offset
    0, weight 1); ridge regression moves it from there as far as cases left out one by one are told better by it, so it
    is not moved where that does not help. Source: Hoerl and Kennard 1970, with that line in the place of zero.
    """
    rows = [(_plain(one), dice) for one, dice in zip(measures, dices, strict=True)]
    known = [(row, dice) for row, dice in rows if dice is not None and row.get(PLUG_IN) is not None]
    if len(known) < FEWEST_CASES:
        return None
    names = [name for name in MEASURES if all(row.get(name) is not None for row, _ in known)]
    table = np.array([[1.0, *(row[name] for name in names)] for row, _ in known], np.float64)
    truth = np.array([dice for _, dice in known], np.float64)
    errors = [_error_left_out(table, truth, strength) for strength in _STRENGTHS]
    best = int(np.argmin(errors))
    offset, *weights = (round(float(value), 6) for value in _fit(table, truth, _STRENGTHS[best]))
    used = {name: weight for name, weight in zip(names, weights, strict=True) if weight}
    return DiceForecast(offset=offset, weights=used, error=round(errors[best], 6), cases=len(known))


def forecast(measures: Measured, fitted: DiceForecast) -> float | None:
    """Return the Dice that a case will probably have, 0..1; None where it lacks a measure that the forecast needs."""
    row = _plain(measures)
    values = [row.get(name) for name in fitted.weights]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    told = fitted.offset + sum(weight * value for weight, value in zip(fitted.weights.values(), known, strict=True))
    return float(np.clip(told, 0.0, 1.0))


def _plain(measures: Measured) -> Mapping[str, float | None]:
    return measures.model_dump() if isinstance(measures, Confidence) else measures


def _fit(table: FloatArray, truth: FloatArray, strength: float) -> FloatArray:
    """Return offset and weights; the columns of the table are 1, `expected_dice` and the other measures."""
    start = np.zeros(table.shape[1])
    start[1] = 1.0
    if np.isinf(strength):
        return start
    normal = table.T @ table + strength * np.eye(len(start))
    moved: FloatArray = start + np.linalg.solve(normal, table.T @ (truth - table @ start))
    return moved


def _error_left_out(table: FloatArray, truth: FloatArray, strength: float) -> float:
    """Return the mean absolute error of cases that are told by a fit to all others."""
    errors = []
    for place in range(len(truth)):
        others = np.arange(len(truth)) != place
        told = table[place] @ _fit(table[others], truth[others], strength)
        errors.append(abs(float(np.clip(told, 0.0, 1.0)) - truth[place]))
    return float(np.mean(errors))
