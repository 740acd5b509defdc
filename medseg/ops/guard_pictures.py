"""What the miniatures of training scans have in common, and how far a new one is from that."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np

from medseg.ops.guard_usual import rounded
from medseg.values.settings import Settings
from medseg.values.volume import Array, FloatArray

_SCANS_PER_DIRECTION = 4
_LEAST_NOISE = 1e-3  # of the variance of a miniature, which is 1
_STEPS = 127  # a number is kept as one of 255


class Picture(Settings):
    """The mean miniature of a channel and the directions in which training scans differ from it, as few kB of text.

    `values`: base64 of int8 (1 + K, 512): mean and K directions, row i times `scales[i]`.  variances: along each
    direction.  noise: variance along every other one.
    """

    values: str
    scales: tuple[float, ...]
    variances: tuple[float, ...]
    noise: float

    @property
    def model(self) -> PictureModel:
        """The numbers themselves."""
        steps = np.frombuffer(base64.b64decode(self.values), np.int8).reshape(len(self.scales), -1)
        rows = steps * np.asarray(self.scales)[:, None]
        return PictureModel(rows[0], rows[1:], np.asarray(self.variances, np.float64), self.noise)


@dataclass(frozen=True, slots=True, eq=False)
class PictureModel:
    """A normal distribution of miniatures: mean (F,), directions (K, F), variances (K,) and noise in all others.

    Source: probabilistic principal components, Tipping and Bishop 1999.
    """

    mean: FloatArray
    directions: FloatArray
    variances: FloatArray
    noise: float

    def misfit(self, rows: FloatArray) -> FloatArray:
        """Return the squared Mahalanobis distances of miniatures (N, F), divided by F: about 1 for those it knows."""
        rest = rows - self.mean
        along = rest @ self.directions.T
        explained = along**2 @ (1 / self.noise - 1 / (self.variances + self.noise))
        distances: FloatArray = np.maximum((rest**2).sum(axis=1) / self.noise - explained, 0) / rows.shape[1]
        return distances


def fit_pictures(rows: FloatArray, most: int) -> PictureModel:
    """Learn from the miniatures (N, F) of training scans, N >= 1, with a direction per four scans, at most `most`."""
    mean = rows.mean(axis=0)
    rest = rows - mean
    degrees = max(1, len(rows) - 1)
    count = min(most, degrees // _SCANS_PER_DIRECTION)
    values, vectors = np.linalg.eigh(rest @ rest.T)
    values, vectors = np.maximum(values[::-1][:count], 0), vectors[:, ::-1][:, :count]
    directions = (vectors.T @ rest) / np.sqrt(np.maximum(values, 1e-12))[:, None]
    variances = values / degrees
    left = float((rest**2).sum()) / degrees - float(variances.sum())
    noise = max(left / (rows.shape[1] - count), _LEAST_NOISE)
    return PictureModel(mean, directions, np.maximum(variances - noise, 0), noise)


def packed(model: PictureModel) -> Picture:
    """Write a model as text; its numbers lose what is below a 254th of the largest of their row."""
    rows = np.concatenate([model.mean[None], model.directions])
    scales = [rounded(float(scale)) for scale in np.maximum(np.abs(rows).max(axis=1), 1e-6) / _STEPS]
    steps: Array = np.clip(np.round(rows / np.asarray(scales)[:, None]), -_STEPS, _STEPS).astype(np.int8)
    return Picture(
        values=base64.b64encode(steps.tobytes()).decode(),
        scales=tuple(scales),
        variances=tuple(rounded(float(value)) for value in model.variances),
        noise=rounded(model.noise),
    )
