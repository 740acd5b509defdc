"""How sure a network was of one segmentation, in a few numbers."""

from __future__ import annotations

from medseg.values.settings import Settings


class Confidence(Settings):
    """How sure the network was of one case; None where there is nothing to measure it on.

    All are measured on prepared voxels and on probabilities as the network gives them, before any temperature.
    `margin`: mean over predicted foreground voxels of the best probability minus the second best, 0..1.
    `boundary_entropy`: mean entropy of the probabilities where foreground touches another class, on both sides (six
    neighbours), over its largest possible value, 0..1.
    `agreement`: 1 minus the mean disagreement of flips and folds where foreground has a probability above 0.05, 0..1;
    disagreement is the entropy of their mean minus the mean of their entropies, over log 2 and at most 1. None with one
    member.
    `expected_dice`: the Dice that the probabilities promise if they are right: 2 x the sum of p over the predicted
    voxels, over the sum of p and the predicted voxels; the mean over the foreground classes that were found.
    `doubtful_ml`: volume of background where foreground has a probability above 0.25: the only sign of doubt in an
    empty mask.
    With sigmoid outputs each region is measured by itself (margin: probability inside minus outside; Dice), and those
    that were found count alike; a voxel is background if it lies in no region, and its foreground probability is the
    largest of the regions'.
    `forecast_dice`: what the model package's forecast makes of these measures.
    """

    margin: float | None = None
    boundary_entropy: float | None = None
    agreement: float | None = None
    expected_dice: float | None = None
    doubtful_ml: float = 0.0
    forecast_dice: float | None = None
