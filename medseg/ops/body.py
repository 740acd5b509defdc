"""The body: which voxels of a scan are patient and which are the air around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import scipy
from pydantic import Field

from medseg.values.error import Refusal
from medseg.values.settings import Settings
from medseg.values.volume import Array, BoolArray, FloatArray

_BINS = 256
_BRIGHTEST = 99.5
_TOWARDS_OTSU = 0.5


class BodySettings(Settings):
    """How the body is found: `otsu` and `threshold` look at the first channel only.

    `otsu` is for MR and CT; in PET it would find what is hot, and not the body.
    """

    kind: Literal["all", "nonzero", "otsu", "threshold"] = Field(default="all", description="all takes every voxel")
    above: float = Field(default=0.0, description="threshold: the body is brighter than this")


def body_mask(image: FloatArray, settings: BodySettings, missing: Sequence[int] = ()) -> BoolArray:
    """Find the body in `image` (C, X, Y, Z) and return it as (X, Y, Z).

    `nonzero` takes a voxel where any channel is not 0; `otsu` the largest bright object, `threshold` everything
    brighter than `above`, both with their holes filled. An empty body is refused.
    Channels in `missing` are not looked at: `otsu` takes the first of the others, `threshold` is refused where the
    first channel is among them, for its number means nothing in another one.
    """
    if missing:
        image = _present(image, settings, missing)
    body = _found(image, settings)
    if not body.any():
        value = f"{settings.kind} with first channel in {image[0].min():g}..{image[0].max():g}"
        raise Refusal("body", "at least one voxel is body", value, "choose another prepare.body.kind or threshold")
    return body


def otsu_threshold(values: FloatArray) -> tuple[float, float]:
    """Return the threshold that separates `values` best into two classes, and the mean of the darker class.

    Constant values give that value twice. The brightest 0.5 % count as one value, so that metal or vessels do not
    stretch the histogram.
    Source: Otsu 1979, maximal variance between the classes, on 256 bins.
    """
    low, high = float(values.min()), float(np.percentile(values, _BRIGHTEST))
    if not high > low:
        return low, low
    counts, edges = np.histogram(np.minimum(values, high), _BINS, (low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    dark = np.cumsum(counts)[:-1].astype(np.float64)
    bright = counts.sum() - dark
    dark_sum = np.cumsum(counts * centres)[:-1]
    bright_sum = (counts * centres).sum() - dark_sum
    between = dark * bright * (dark_sum / dark - bright_sum / np.maximum(bright, 1)) ** 2
    cut = int(np.argmax(between))
    return float(edges[cut + 1]), float(dark_sum[cut] / dark[cut])


def fill_holes(mask: BoolArray) -> BoolArray:
    """Add every background object of `mask` (X, Y, Z) that touches no face of the volume."""
    objects, count = scipy.ndimage.label(~mask)
    outside = np.zeros(count + 1, np.bool_)
    for axis in range(mask.ndim):
        for face in (0, -1):
            outside[np.unique(objects.take(face, axis))] = True
    outside[0] = False
    filled: BoolArray = ~outside[objects]
    return filled


def body_box(body: BoolArray, margin: int = 1) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return start and stop of the smallest box around `body`, widened by `margin` voxels inside the volume."""
    starts, stops = [], []
    for axis, size in enumerate(body.shape):
        taken = np.flatnonzero(body.any(axis=tuple(other for other in range(3) if other != axis)))
        starts.append(max(int(taken[0]) - margin, 0))
        stops.append(min(int(taken[-1]) + 1 + margin, size))
    return (starts[0], starts[1], starts[2]), (stops[0], stops[1], stops[2])


def _present(image: FloatArray, settings: BodySettings, missing: Sequence[int]) -> FloatArray:
    """Return the channels that the case has, as a copy."""
    if settings.kind == "threshold" and 0 in missing:
        remedy = "leave the case out, or choose another prepare.body.kind"
        raise Refusal("body", "a threshold needs the first channel", "it is missing", remedy)
    return image[[index for index in range(image.shape[0]) if index not in missing]]


def _found(image: FloatArray, settings: BodySettings) -> BoolArray:
    if settings.kind == "all":
        return np.ones(image.shape[1:], np.bool_)
    if settings.kind == "nonzero":
        return np.asarray((image != 0).any(axis=0), np.bool_)
    if settings.kind == "threshold":
        return fill_holes(np.asarray(image[0] > settings.above, np.bool_))
    return _otsu_body(image[0])


def _otsu_body(channel: FloatArray) -> BoolArray:
    """Take the head or trunk, half-way from the mean of air to Otsu's threshold (which is too high for dark tissue)."""
    threshold, air = otsu_threshold(channel)
    return fill_holes(_largest(np.asarray(channel > air + _TOWARDS_OTSU * (threshold - air), np.bool_)))


def _largest(mask: BoolArray) -> BoolArray:
    """Keep the largest face-connected object; of equally large ones the first in memory order."""
    objects, _ = scipy.ndimage.label(mask)
    sizes: Array = np.bincount(objects.ravel())
    sizes[0] = 0
    return np.asarray((objects == int(np.argmax(sizes))) & mask, np.bool_)
