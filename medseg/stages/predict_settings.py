"""Settings of the stage predict; no computing library is needed to read them."""

from __future__ import annotations

from pydantic import Field

from medseg.values.settings import Settings


class PredictSettings(Settings):
    """What is kept of a predicted case beside its labels."""

    probabilities: bool = Field(
        False, description="keep the probability of the tumour, for calibration and FROC in the report"
    )
