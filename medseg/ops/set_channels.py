"""Which scans look as if two of their channels had been exchanged."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from medseg.ops.set_outliers import robust_spread
from medseg.values.volume import Array, BoolArray, FloatArray

FEWEST = 8  # scans that must have both channels, before one of them can be called exchanged
_FLOOR = 0.01  # smallest spread of a feature that is believed, in shares of the intensity range
_CLIP = 8.0  # one wild feature (metal, a hot bladder) must not decide
_TOLD_APART = 2.0  # spreads between the usual difference of two channels and none: below it nothing can be said
_CLEARLY = -0.4  # of the usual difference, which is 1; an exchange makes it -1
_UNUSUAL = 3.0  # spreads away from the usual difference
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


def find_exchanged(features: FloatArray) -> list[tuple[int, int, int]]:
    """Return (scan, channel, other channel) of exchanged channels. features: (N, C, F), see `channel_features`.

    Two channels of one scan share its field of view and its patient, so their *difference* is compared with the usual
    one: where it is turned round, clearly and unlike the other scans, and neither channel lies clearly on its own
    side, they count as exchanged. Channels that do not differ in most scans are never called exchanged, nor is anything
    in fewer than `FEWEST` scans.
    """
    if len(features) < FEWEST:
        return []
    found: list[tuple[int, int, int]] = []
    for one, other in combinations(range(features.shape[1]), 2):
        found += [(int(scan), one, other) for scan in np.flatnonzero(_exchanged(features[:, one], features[:, other]))]
    return sorted(found)


def _exchanged(first: FloatArray, second: FloatArray) -> BoolArray:
    """Tell for which scans (N,) the features (N, F) of two channels are exchanged."""
    difference = first - second
    usual, spread = robust_spread(difference, _FLOOR)
    direction = np.clip(usual / spread, -_CLIP, _CLIP)

    def along(vectors: FloatArray) -> FloatArray:
        return np.asarray(np.clip(vectors / spread, -_CLIP, _CLIP) @ direction) / max(
            float(direction @ direction), 1e-9
        )

    turned = along(difference)
    middle, width = (float(value) for value in robust_spread(turned, 0.1))
    if middle < _TOLD_APART * width:
        return np.zeros(len(first), np.bool_)
    centre = (np.median(first, axis=0) + np.median(second, axis=0)) / 2
    crossed = (along(first - centre) < _OWN_SIDE) & (along(second - centre) > -_OWN_SIDE)
    return np.asarray(crossed & (turned < _CLEARLY) & (middle - turned > _UNUSUAL * width))
