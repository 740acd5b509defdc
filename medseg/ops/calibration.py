"""How well probabilities mean what they say, and the one number that mends most of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from pydantic import Field

from medseg.values.error import Refusal
from medseg.values.labels import IGNORED
from medseg.values.settings import Settings
from medseg.values.volume import Array, BoolArray, FloatArray

Activation = Literal["softmax", "sigmoid"]
BINS = 15
LOWEST, HIGHEST = 0.25, 8.0
_WIDTH = 1e-4  # of the last interval of log(temperature): a hundredth of a percent
_FLOOR = np.finfo(np.float32).tiny
_EDGE = np.finfo(np.float32).eps


class Calibration(Settings):
    """A temperature fitted on voxels of validation scans, and the expected calibration error before and after it.

    Probabilities p become softmax(log p / temperature), with sigmoid outputs sigmoid(logit p / temperature): above 1
    they become less sure of themselves. Label maps do not depend on it.
    """

    temperature: float = Field(gt=0)
    ece_before: float
    ece_after: float
    cases: int
    voxels: int


class Reliability(Settings):
    """Answers by how sure they are: bin i holds those with a confidence above i/15 and up to (i+1)/15.

    `answers` counts them, `confidence` is their mean probability and `right` the share that is true; 0 in an empty bin.
    """

    answers: tuple[int, ...]
    confidence: tuple[float, ...]
    right: tuple[float, ...]

    @property
    def error(self) -> float:
        """The expected calibration error: the mean over all answers of |right - confidence| of their bin."""
        gaps = np.abs(np.subtract(self.right, self.confidence))
        return float(np.average(gaps, weights=self.answers))


def temper(probabilities: FloatArray, temperature: float, activation: Activation) -> FloatArray:
    """Return probabilities (K, ...) at a temperature, float32: softmax over the K classes, or K sigmoids.

    At temperature 1 they are what they were. Those too small for float32, or nearer to 0 or 1 with sigmoid than it can
    tell, count as the nearest that it can.
    Source: Guo et al. 2017, arXiv:1706.04599, with log p in the place of logits, which differ by what softmax ignores.
    """
    found = np.asarray(probabilities, np.float32)
    if temperature == 1:
        return found
    if activation == "sigmoid":
        return _sigmoid(_log_odds(found) / np.float32(temperature))
    scaled = _logarithms(found) / np.float32(temperature)
    scaled -= scaled.max(0)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(0)
    return scaled


def fit_temperature(probabilities: FloatArray, truth: Array, activation: Activation) -> float:
    """Return the temperature, within 0.25..8, at which the truth is most probable; 1 where none is better.

    probabilities: (K, N) of N voxels.  truth: (N,) class indices with softmax; with sigmoid (K, N), 1 inside a region
    and 0 outside, `IGNORED` where that is not known.
    The mean negative log-likelihood has one minimum over the temperature, which a golden-section search finds to 0.01
    percent: the same input gives the same number. Refuses voxels without any answer.
    Source: Guo et al. 2017, arXiv:1706.04599.
    """
    loss = _loss(np.asarray(probabilities, np.float32), truth, activation)
    best = _lowest(lambda logarithm: loss(float(np.exp(logarithm))), np.log(LOWEST), np.log(HIGHEST))
    temperature = round(float(np.clip(np.exp(best), LOWEST, HIGHEST)), 6)
    return temperature if loss(temperature) < loss(1.0) else 1.0


def reliability(probabilities: FloatArray, truth: Array, activation: Activation) -> Reliability:
    """Return how often answers are right by how sure they are; shapes as in `fit_temperature`.

    With softmax a voxel is one answer, its most probable class. With sigmoid each region is one, inside or outside,
    with the probability of what it says. Refuses voxels without any answer.
    """
    confidence, right = _answers(np.asarray(probabilities, np.float64), truth, activation)
    _demand(confidence.size)
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    sums = [np.bincount(bins, weights=values, minlength=BINS) for values in (confidence, right)]
    means = [tuple((total / np.maximum(counts, 1)).tolist()) for total in sums]
    return Reliability(answers=tuple(counts.tolist()), confidence=means[0], right=means[1])


def expected_calibration_error(probabilities: FloatArray, truth: Array, activation: Activation) -> float:
    """Return the mean gap between how sure answers are and how often they are right, 0..1: see `reliability`.

    15 bins of equal width, each weighing as much as it holds; the most probable answer alone is looked at.
    Source: Naeini et al. 2015 and Guo et al. 2017, arXiv:1706.04599, equation 3.
    """
    return reliability(probabilities, truth, activation).error


def _answers(probabilities: FloatArray, truth: Array, activation: Activation) -> tuple[FloatArray, BoolArray]:
    if activation == "softmax":
        return probabilities.max(0), probabilities.argmax(0) == truth
    known = truth != IGNORED
    inside = probabilities[known]
    return np.maximum(inside, 1 - inside), (inside > 0.5) == (truth[known] == 1)


def _loss(probabilities: FloatArray, truth: Array, activation: Activation) -> Callable[[float], float]:
    """Return the mean negative log-likelihood of the truth as a function of the temperature."""
    if activation == "sigmoid":
        known = truth != IGNORED
        odds = _log_odds(probabilities[known])
        against = np.where(truth[known] == 1, -odds, odds)
        _demand(against.size)
        return lambda temperature: float(np.logaddexp(0, against / temperature).mean(dtype=np.float64))
    _demand(truth.size)
    logs = _logarithms(probabilities)
    logs -= logs.max(0)
    of_truth = np.take_along_axis(logs, truth[None].astype(np.intp), 0)[0]

    def loss(temperature: float) -> float:
        scale = np.float32(1 / temperature)
        return float((np.log(np.exp(logs * scale).sum(0)) - of_truth * scale).mean(dtype=np.float64))

    return loss


def _lowest(of: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function with one minimum between `low` and `high` has it, by golden-section search."""
    share = (5**0.5 - 1) / 2
    left, right = high - share * (high - low), low + share * (high - low)
    at_left, at_right = of(left), of(right)
    while high - low > _WIDTH:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - share * (high - low)
            at_left = of(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + share * (high - low)
            at_right = of(right)
    return (low + high) / 2


def _logarithms(probabilities: FloatArray) -> FloatArray:
    logarithms: FloatArray = np.log(np.maximum(probabilities, _FLOOR))
    return logarithms


def _log_odds(probabilities: FloatArray) -> FloatArray:
    inside = np.clip(probabilities, _EDGE, 1 - _EDGE)
    odds: FloatArray = np.log(inside) - np.log1p(-inside)
    return odds


def _sigmoid(odds: FloatArray) -> FloatArray:
    found: FloatArray = 1 / (1 + np.exp(-odds))
    return found


def _demand(answers: int) -> None:
    if not answers:
        raise Refusal("calibration", "there is at least one voxel with a known answer", 0, "name validation cases")
