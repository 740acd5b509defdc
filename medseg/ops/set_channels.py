"""Which scans look as if two of their channels had been exchanged."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from medseg.ops.set_outliers import robust_spread
from medseg.values.settings import Settings
from medseg.values.volume import Array, BoolArray, FloatArray

FEWEST = 8  # scans that must have both channels, before one of them can be called exchanged
_FLOOR = 0.01  # smallest spread of a feature that is believed, in shares of the intensity range
_CLIP = 8.0  # one wild feature (metal, a hot bladder) must not decide
_TOLD_APART = 2.0  # spreads between the usual difference of two channels and none: below it nothing can be said
_CLEARLY = -0.4  # of the usual difference, which is 1; an exchange makes it -1
_UNUSUAL = 3.0  # spreads away from the usual difference
RANGE = "range"
FEATURES = ("5 %", "25 %", "50 %", "75 %", "95 %", "mean", "sd", "zeros", "offset", RANGE)
_OWN_SIDE = 0.25  # of the usual difference; a channel lies about 0.5 on its own side of the middle between the two


def channel_features(percentiles: Array, mean: Array, sd: Array, zeros: Array) -> FloatArray:
    """Describe intensities by the shape of their distribution (N, 10), whatever their unit.

    percentiles: (N, 9), those of 0, 1, 5, 25, 50, 75, 95, 99 and 100 %.  mean, sd, zeros (share of voxels): (N,).
    The last two columns are the offset in ranges and the decimal logarithm of the range.
    """
    low, high = percentiles[:, 1], percentiles[:, 7]
    whole = percentiles[:, 8] - percentiles[:, 0]
    span = np.where(high > low, high - low, np.where(whole > 0, whole, 1.0))
    shape = (percentiles[:, 2:7] - low[:, None]) / span[:, None]
    centre, width = (mean - low) / span, sd / span
    offset = np.clip(low / span, -3, 3)
    columns = [*shape.T, centre, width, zeros, offset, np.log10(span)]
    return np.clip(np.stack(columns, axis=1), -20, 20)


class Difference(Settings):
    """How two channels usually differ, feature by feature (F), over the scans that have both.

    `direction` is the usual difference in spreads, `centre` lies in the middle between the two channels. Along the
    direction the usual difference is `middle`, give or take `width`.
    """

    spread: tuple[float, ...]
    direction: tuple[float, ...]
    centre: tuple[float, ...]
    middle: float
    width: float


def find_exchanged(features: FloatArray) -> list[tuple[int, int, int]]:
    """Return (scan, channel, other channel) of exchanged channels. features: (N, C, F), see `channel_features`.

    Two channels of one scan share its field of view and its patient, so their *difference* is compared with the usual
    one: where it is turned round, clearly and unlike the other scans, and neither channel lies clearly on its own
    side, they count as exchanged. Channels that do not differ in most scans are never called exchanged, nor is anything
    in fewer than `FEWEST` scans.
    """
    found: list[tuple[int, int, int]] = []
    for one, other in combinations(range(features.shape[1]), 2):
        usual = usual_difference(features[:, one], features[:, other])
        if usual is not None:
            scans = np.flatnonzero(exchanged(usual, features[:, one], features[:, other]))
            found += [(int(scan), one, other) for scan in scans]
    return sorted(found)


def usual_difference(first: FloatArray, second: FloatArray) -> Difference | None:
    """Learn how the features (N, F) of two channels differ; None where they do not, or not in enough scans."""
    if len(first) < FEWEST:
        return None
    difference = first - second
    usual, spread = robust_spread(difference, _FLOOR)
    direction = np.clip(usual / spread, -_CLIP, _CLIP)
    turned = _along(difference, spread, direction)
    middle, width = (float(value) for value in robust_spread(turned, 0.1))
    if middle < _TOLD_APART * width:
        return None
    centre = (np.median(first, axis=0) + np.median(second, axis=0)) / 2
    spreads, directions, centres = (tuple(values.tolist()) for values in (spread, direction, centre))
    return Difference(spread=spreads, direction=directions, centre=centres, middle=middle, width=width)


def exchanged(usual: Difference, first: FloatArray, second: FloatArray) -> BoolArray:
    """Tell for which scans (N,) the features (N, F) of two channels are exchanged."""
    spread, direction, centre = (np.asarray(row) for row in (usual.spread, usual.direction, usual.centre))
    crossed = (_along(first - centre, spread, direction) < _OWN_SIDE) & (
        _along(second - centre, spread, direction) > -_OWN_SIDE
    )
    turned = _along(first - second, spread, direction)
    return np.asarray(crossed & (turned < _CLEARLY) & (usual.middle - turned > _UNUSUAL * usual.width))


def _along(vectors: FloatArray, spread: FloatArray, direction: FloatArray) -> FloatArray:
    """Return how far vectors (N, F) go along the usual difference, which is about 1."""
    steps = np.asarray(np.clip(vectors / spread, -_CLIP, _CLIP) @ direction)
    return np.asarray(steps / max(float(direction @ direction), 1e-9))
