"""The files that the stage predict leaves of a case."""

from __future__ import annotations

PREDICTION = "prediction.nii.gz"
PROBABILITY = "probability.nii.gz"
