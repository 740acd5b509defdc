"""From segmented validation cases to a temperature, a clean-up and a forecast, with the numbers behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from medseg.ops.calibration import Activation, Calibration, Reliability, fit_temperature, reliability, temper
from medseg.ops.confidence import Confidence
from medseg.ops.forecast import DiceForecast, fit_forecast
from medseg.ops.postprocessing import Postprocessing, postprocess
from medseg.ops.postprocessing_choice import Choice, choose_postprocessing, region_dices
from medseg.stages.calibrating.examining import Examined
from medseg.values.labels import IGNORED, LabelScheme
from medseg.values.settings import Settings


class CaseFacts(Settings):
    """One validation case: the Dice of its regions after the clean-up, None where both sides are empty.

    `dice` is the mean of those that have one, `voxels` how many were drawn from it.
    """

    dice: float | None
    regions: dict[str, float | None]
    confidence: Confidence
    voxels: int


class Learned(Settings):
    """The content of calibration.json: what the card gets, and what it was learned from.

    `before` and `after` are the reliability of the voxels drawn, without and with the temperature.
    """

    calibration: Calibration | None = None
    before: Reliability | None = None
    after: Reliability | None = None
    postprocessing: Choice = Choice()
    forecast: DiceForecast | None = None
    cases: dict[str, CaseFacts] = {}


def learn(
    examined: Sequence[Examined],
    scheme: LabelScheme,
    activation: Activation,
    asked_for: Literal["auto", "none"] | Postprocessing,
) -> Learned:
    """Return what the cases teach. The forecast is that of label maps with the clean-up that inference will do."""
    choice = choose_postprocessing([one.judged for one in examined], scheme)
    cleaning = choice.taken if asked_for == "auto" else None if asked_for == "none" else asked_for
    cases = {one.case.case: _facts(one, scheme, cleaning) for one in examined}
    confidences, dices = [one.confidence for one in cases.values()], [one.dice for one in cases.values()]
    learned = Learned(postprocessing=choice, forecast=fit_forecast(confidences, dices), cases=cases)
    return learned.model_copy(update=_temperature(examined, activation))


def _facts(one: Examined, scheme: LabelScheme, cleaning: Postprocessing | None) -> CaseFacts:
    judged = one.judged()
    labels = (
        judged.predicted if cleaning is None else postprocess(judged.predicted, scheme, cleaning, judged.spacing_mm)
    )
    regions = region_dices(judged, labels, scheme)
    known = [dice for dice in regions.values() if dice is not None]
    return CaseFacts(
        dice=float(np.mean(known)) if known else None,
        regions=regions,
        confidence=one.confidence,
        voxels=one.found.shape[1],
    )


def _temperature(examined: Sequence[Examined], activation: Activation) -> dict[str, Calibration | Reliability]:
    """Fit the temperature on the voxels of all cases together; nothing where none has a known answer."""
    known = [one for one in examined if (one.truth != IGNORED).any()]
    if not known:
        return {}
    found = np.concatenate([one.found for one in known], axis=1)
    truth = np.concatenate([one.truth for one in known], axis=-1)
    temperature = fit_temperature(found, truth, activation)
    before = reliability(found, truth, activation)
    after = reliability(temper(found, temperature, activation), truth, activation)
    calibration = Calibration(
        temperature=temperature,
        ece_before=before.error,
        ece_after=after.error,
        cases=len(known),
        voxels=found.shape[1],
    )
    return {"calibration": calibration, "before": before, "after": after}
