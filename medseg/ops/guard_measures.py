"""The measures of a channel's intensities by which the guard judges, and how finely it judges each."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from medseg.ops.guard_signature import ChannelSignature
from medseg.ops.guard_usual import Tolerance
from medseg.ops.set_channels import FEATURES, RANGE, channel_features
from medseg.values.volume import FloatArray

# Ratios are in decades; groups of scans are at least a factor of two apart.
_TWICE, _TWICE_MISFIT = math.log10(2), math.log(2)
SPACING = Tolerance(floor=math.log10(1.2), gap=_TWICE, gross=math.log10(3))
LENGTH = Tolerance(floor=math.log10(1.25), gap=_TWICE, gross=math.log10(3))
UNIT = Tolerance(floor=math.log10(1.1), gap=_TWICE, gross=1.5)
SHARE = Tolerance(floor=0.05, gap=math.inf, gross=0.7)  # all between two scans is possible, hence one group
MISFIT = Tolerance(floor=0.05, gap=math.inf, gross=math.inf)  # natural logarithm, judged on one side
GAIN = Tolerance(floor=0.05, gap=_TWICE_MISFIT, gross=math.inf)  # natural logarithm; a training scan may lie wrongly

STEP = "step"
MEASURES = (*FEATURES, STEP)


def measures_of(channels: Sequence[ChannelSignature]) -> FloatArray:
    """Return `MEASURES` of N signatures of a channel, (N, F): the features, and the step in decades."""
    steps = np.asarray([one.step or 1.0 for one in channels], np.float64)
    return np.column_stack([features_of(channels), np.log10(steps)])


def features_of(channels: Sequence[ChannelSignature]) -> FloatArray:
    """Return the features of `set_channels` of N signatures of a channel, (N, F)."""
    table = np.asarray([one.percentiles for one in channels], np.float64).reshape(len(channels), -1)
    rest = np.asarray([(one.mean, one.sd, one.zeros) for one in channels], np.float64).reshape(len(channels), 3)
    return channel_features(table, rest[:, 0], rest[:, 1], rest[:, 2])


def tolerance_of(measure: str) -> Tolerance:
    """Return how finely one of `MEASURES` is judged."""
    return UNIT if measure in (RANGE, STEP) else SHARE
