"""Intensities: normalisation per channel, the numbers it learns from training scans, and the bias field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import fsum, sqrt
from typing import Any, Literal

import numpy as np

from medseg.values.error import Refusal
from medseg.values.settings import Settings
from medseg.values.volume import Array, BoolArray, FloatArray

Kind = Literal["zscore", "ct", "percentile", "log_zscore", "none"]
Change = Callable[[FloatArray], FloatArray]  # a plane (Y, Z) as it is read to the plane as networks read it

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
    mean, sd = _moments(lambda: iter([samples.astype(np.float64)]), channel)
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
        change = None if index in missing else _change(channel, body, normalisation, f"channel {index}")
        for plane, changed in zip(channel, result[index], strict=True):
            changed[...] = 0 if change is None else change(plane)
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


def _change(channel: FloatArray, body: BoolArray, how: ChannelNormalisation, name: str) -> Change:
    """Learn from a channel (X, Y, Z) what is to be done to each of its planes.

    Planes one by one, because the double precision that this is computed in would need the memory of several scans.
    """
    if how.kind == "none":
        return lambda plane: plane
    if how.kind == "ct":
        return _by_constants(how, name)
    if how.kind == "percentile":
        low, high = np.percentile(channel[body].astype(np.float64), (_LOW, _HIGH))
        if not high - low > _FLAT * max(abs(low), abs(high)):
            raise _constant(name, float(low))
        return lambda plane: np.asarray(np.clip((plane - low) / (high - low), 0, 1))
    scale = _logarithm if how.kind == "log_zscore" else _in_double
    mean, sd = _moments(lambda: (scale(plane[inside]) for plane, inside in zip(channel, body, strict=True)), name)
    return lambda plane: (scale(plane) - mean) / sd


def _in_double(values: FloatArray) -> FloatArray:
    return values.astype(np.float64)


def _logarithm(values: FloatArray) -> FloatArray:
    changed: FloatArray = np.log1p(np.maximum(values.astype(np.float64), 0))
    return changed


def _by_constants(how: ChannelNormalisation, name: str) -> Change:
    low, high, mean, sd = how.low, how.high, how.mean, how.sd
    if low is None or high is None or mean is None or not sd:
        raise Refusal(name, "ct has low, high, mean and sd of the training scans", how, "run fingerprint again")
    return lambda plane: (np.clip(plane, low, high).astype(np.float64) - mean) / sd


def _moments(parts: Callable[[], Iterator[FloatArray]], name: str) -> tuple[float, float]:
    """Return mean and standard deviation of all values, which `parts` gives in double precision, as often as asked."""
    count = sum(part.size for part in parts())
    mean = fsum(part.sum() for part in parts()) / count
    sd = sqrt(fsum(np.square(part - mean).sum() for part in parts()) / count)
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
