"""Intensities: normalisation per channel, the numbers it learns from training scans, and the bias field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from medseg.values.error import Refusal
from medseg.values.settings import Settings
from medseg.values.volume import Array, BoolArray, FloatArray

Kind = Literal["zscore", "ct", "percentile", "log_zscore", "none"]

_LOW, _HIGH = 0.5, 99.5
_FLAT = 1e-6
_N4_ITERATIONS = (30, 30, 30)


class ChannelNormalisation(Settings):
    """How one channel is normalised.

    `low`, `high`, `mean` and `sd` are learned from the training scans and used by `ct` only: clip to low..high, then
    (x - mean) / sd. The other kinds learn from each scan: `zscore` has mean 0 and deviation 1 inside the body,
    `log_zscore` the same after log(1 + max(x, 0)) (uptake in PET spans decades), `percentile` takes the body's 0.5th
    to 99.5th percentile to 0..1 and clips, `none` changes nothing.
    """

    kind: Kind
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    sd: float | None = None


def fit_normalisation(kind: Kind, samples: FloatArray, channel: str = "channel") -> ChannelNormalisation:
    """Learn a channel's normalisation from foreground intensities `samples` (N,) of all training scans.

    Only `ct` looks at them; none, or constant ones, are refused there.
    Source: nnU-Net's rule for CT (Isensee et al. 2021): percentiles 0.5 and 99.5 to clip, mean and deviation unclipped.
    """
    if kind != "ct":
        return ChannelNormalisation(kind=kind)
    if not samples.size:
        raise Refusal(channel, "ct learns from foreground voxels of training scans", "none", "choose zscore")
    low, high = np.percentile(samples.astype(np.float64), (_LOW, _HIGH))
    mean, sd = _moments(samples, channel)
    return ChannelNormalisation(kind=kind, low=float(low), high=float(high), mean=mean, sd=sd)


def sample_intensities(image: FloatArray, region: BoolArray, generator: np.random.Generator, limit: int) -> FloatArray:
    """Draw at most `limit` voxels of `region` (X, Y, Z) without repetition and return their intensities (C, N).

    They stay in memory order; an empty region gives (C, 0).
    """
    places = np.flatnonzero(region)
    if places.size > limit:
        places = np.sort(generator.choice(places, limit, replace=False))
    drawn: FloatArray = image.reshape(image.shape[0], -1)[:, places]
    return drawn


def normalise(
    image: FloatArray, body: BoolArray, normalisations: Sequence[ChannelNormalisation], missing: Sequence[int] = ()
) -> FloatArray:
    """Normalise `image` (C, X, Y, Z), channel by channel, to a new float32 array.

    What a kind learns from the scan it learns inside `body` (X, Y, Z); voxels outside are changed the same way. A
    channel that is constant in the body is refused, for every kind that learns from it. Channels in `missing` become
    exactly 0, whatever their kind.
    """
    if len(normalisations) != image.shape[0]:
        raise Refusal(
            "normalisation", f"one for each of {image.shape[0]} channels", len(normalisations), "list them all"
        )
    result = np.empty(image.shape, np.float32)
    for index, (channel, normalisation) in enumerate(zip(image, normalisations, strict=True)):
        result[index] = 0 if index in missing else _normalised(channel, body, normalisation, f"channel {index}")
    return result


def correct_bias(channel: FloatArray, body: BoolArray, spacing_mm: Sequence[float], shrink: int = 4) -> FloatArray:
    """Divide `channel` (X, Y, Z) by its smooth bias field, as float32 with the mean inside the body kept.

    The field is found on every `shrink`-th voxel that is body and positive (N4 takes logarithms), so it takes seconds.
    A channel without such voxels is refused.
    Source: N4ITK, Tustison et al. 2010, as SimpleITK has it; three levels of at most 30 iterations, one thread, so
    that the bytes do not depend on the machine's cores.
    """
    inside = body & (channel > 0)
    step = max(1, min(shrink, min(channel.shape) // 8))
    corrected = np.maximum(channel, 0) / _bias_field(channel, inside, spacing_mm, step)
    before, after = (float(values[inside].mean(dtype=np.float64)) for values in (channel, corrected))
    return (corrected * np.float32(before / after)).astype(np.float32)


def _normalised(channel: FloatArray, body: BoolArray, how: ChannelNormalisation, name: str) -> FloatArray:
    if how.kind == "none":
        return channel
    if how.kind == "ct":
        return _by_constants(channel, how, name)
    if how.kind == "percentile":
        low, high = np.percentile(channel[body].astype(np.float64), (_LOW, _HIGH))
        if not high - low > _FLAT * max(abs(low), abs(high)):
            raise _constant(name, float(low))
        return np.asarray(np.clip((channel - low) / (high - low), 0, 1))
    values = np.log1p(np.maximum(channel.astype(np.float64), 0)) if how.kind == "log_zscore" else channel
    mean, sd = _moments(values[body], name)
    return (values - np.float64(mean)) / sd


def _by_constants(channel: FloatArray, how: ChannelNormalisation, name: str) -> FloatArray:
    if how.low is None or how.high is None or how.mean is None or not how.sd:
        raise Refusal(name, "ct has low, high, mean and sd of the training scans", how, "run fingerprint again")
    return (np.clip(channel, how.low, how.high).astype(np.float64) - how.mean) / how.sd


def _moments(values: FloatArray, name: str) -> tuple[float, float]:
    mean, sd = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    if not sd > _FLAT * abs(mean):
        raise _constant(name, mean)
    return mean, sd


def _constant(name: str, value: float) -> Refusal:
    return Refusal(
        name, "intensities inside the body differ", f"{value:g} everywhere", "check the scan or the body mask"
    )


def _bias_field(channel: FloatArray, inside: BoolArray, spacing_mm: Sequence[float], step: int) -> Array:
    """Estimate the field on the thinned grid and evaluate its spline on all voxels.

    The filter passes its own number of threads on to no inner filter, hence the global one for as long as it runs.
    """
    import SimpleITK

    threads = SimpleITK.ProcessObject.GetGlobalDefaultNumberOfThreads()
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        full = _scan(channel.astype(np.float32), spacing_mm)
        mask = SimpleITK.Shrink(_scan(inside.astype(np.uint8), spacing_mm), [step] * 3)
        if not SimpleITK.GetArrayViewFromImage(mask).any():
            raise Refusal("n4", "the body has positive voxels", f"maximum {channel.max():g}", "set prepare.n4 to false")
        correction = SimpleITK.N4BiasFieldCorrectionImageFilter()
        correction.SetMaximumNumberOfIterations(_N4_ITERATIONS)
        correction.Execute(SimpleITK.Shrink(full, [step] * 3), mask)
        logarithm: Array = SimpleITK.GetArrayFromImage(correction.GetLogBiasFieldAsImage(full))
    finally:
        SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    field: Array = np.exp(logarithm.transpose(2, 1, 0))
    return field


def _scan(array: Array, spacing_mm: Sequence[float]) -> Any:
    import SimpleITK

    scan = SimpleITK.GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0)))
    scan.SetSpacing([float(edge) for edge in spacing_mm])
    return scan
