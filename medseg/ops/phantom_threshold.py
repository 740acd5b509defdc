"""The baseline without learning: one global threshold, as good as one can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import scipy

from medseg.values.error import Refusal
from medseg.values.volume import BoolArray, FloatArray

Case = tuple[FloatArray, BoolArray, BoolArray]
Scale = Literal["zscore", "percentile"]


def threshold_baseline(
    train: Sequence[Case],
    held_out: Sequence[Case],
    scale: Scale = "zscore",
    largest: bool = False,
    steps: int = 60,
) -> tuple[float, list[float]]:
    """Fit the threshold with the best mean tumour Dice on `train` and apply it to `held_out`.

    A case is (one channel, body, tumour), each `(X, Y, Z)`; inside the body the channel is put on a common scale
    (`zscore`, or `percentile`: 0 at the 1st and 1 at the 99th), and what lies above the threshold is called tumour,
    with `largest` only its largest connected part. Returns the threshold on that scale and the Dice of every
    held-out case that has a tumour, in order; healthy cases are passed over, in fitting too, which is to the
    baseline's advantage. `steps` thresholds are tried, evenly spread over the training values' quantiles and once
    more around the best. Refuses training cases without any tumour.
    """
    fitted = [(_on_scale(image, body, scale), body, tumour) for image, body, tumour in train if tumour.any()]
    if not fitted:
        raise Refusal("threshold baseline", "at least one training case has a tumour", 0, "add tumour cases")
    pooled = np.concatenate([image[body] for image, body, _ in fitted])
    coarse = np.quantile(pooled, np.linspace(0.5, 1, steps, endpoint=False))
    best = _best(fitted, coarse, largest)
    around = coarse[max(best - 1, 0)], coarse[min(best + 1, steps - 1)]
    fine = np.linspace(*around, steps)
    threshold = float(fine[_best(fitted, fine, largest)])
    return threshold, [
        _dice(_on_scale(image, body, scale), body, tumour, threshold, largest)
        for image, body, tumour in held_out
        if tumour.any()
    ]


def _on_scale(image: FloatArray, body: BoolArray, scale: Scale) -> FloatArray:
    inside = image[body].astype(np.float64)
    low, high = (
        np.percentile(inside, (1, 99)) if scale == "percentile" else (inside.mean(), inside.mean() + inside.std())
    )
    scaled: FloatArray = (image - low) / max(float(high - low), 1e-12)
    return scaled


def _best(cases: Sequence[Case], thresholds: FloatArray, largest: bool) -> int:
    """Return the place of the threshold with the highest mean Dice."""
    means = [
        float(np.mean([_dice(*case, threshold=float(threshold), largest=largest) for case in cases]))
        for threshold in thresholds
    ]
    return int(np.argmax(means))


def _dice(image: FloatArray, body: BoolArray, tumour: BoolArray, threshold: float, largest: bool) -> float:
    found = (image > threshold) & body
    if largest:
        parts, count = scipy.ndimage.label(found)
        found = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:])) if count else found
    return 2 * float((found & tumour).sum()) / max(float(found.sum() + tumour.sum()), 1.0)
