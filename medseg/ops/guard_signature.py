"""What the guard keeps of a scan: its grid, its intensities and a miniature of every channel."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np

from medseg.ops.orientation import Orientation
from medseg.ops.sighting import PERCENTILES, mean_and_sd, miniature, share_of_zeros
from medseg.values.settings import Settings
from medseg.values.volume import Array, BoolArray, FloatArray, Volume

Triple = tuple[float, float, float]
_MOST_SAMPLES = 64  # along an axis: 262,144 voxels at most, eight times as many cells as the miniature has
_FINEST = 1000  # steps of the range; finer ones are none
_KNOTS = np.linspace(0.0, 100.0, 65)


class ChannelSignature(Settings):
    """Intensities of one channel inside the body: `percentiles` are those of `sighting.PERCENTILES`.

    `zeros` is a share of the voxels. `step` is the usual distance of neighbouring intensities, or a thousandth of the
    range where they are not in steps. `picture` is the miniature (8, 8, 8) of the box around the body on
    canonical axes, of the ranks of its intensities, base64 of little-endian float16: no unit or contrast changes it.
    """

    percentiles: tuple[float, ...]
    mean: float
    sd: float
    zeros: float
    step: float
    picture: str


class Signature(Settings):
    """A scan in a few kB: sizes in mm along the canonical axes, of the whole scan and of the box around the body.

    `axes` are the letters of the stored axes, such as "RAS". A channel that the scan lacks is absent.
    """

    spacing_mm: Triple
    whole_mm: Triple
    body_mm: Triple
    axes: str
    channels: dict[str, ChannelSignature]


def signature_of(
    image: Volume,
    body: BoolArray,
    box: Sequence[slice],
    names: Sequence[str],
    missing: Sequence[int],
    axes: Orientation,
) -> Signature:
    """Take the signature of a scan (C, X, Y, Z) on canonical axes, in some hundredths of a second per channel.

    body: (X, Y, Z).  box: where it lies, or the whole scan.  names: of all channels.  missing: indices of those that
    hold nothing.  axes: how the stored axes became canonical. At most 64 voxels along an axis are looked at, always
    the same ones, and the same ones of a mirrored scan up to half a step.
    """
    places = [range(*part.indices(size)) for part, size in zip(box, image.shape, strict=True)]
    thinned = tuple(_thinned(place) for place in places)
    inside = body[thinned]
    if not inside.any():  # a body thinner than a step
        inside = np.ones_like(inside)
    present = (index for index in range(len(names)) if index not in missing)
    spacing, shape = image.spacing_mm, image.shape
    return Signature(
        spacing_mm=spacing,
        whole_mm=_lengths(spacing, shape),
        body_mm=_lengths(spacing, [len(place) for place in places]),
        axes=axes.letters,
        channels={names[index]: _channel(image.voxels[index][thinned], inside) for index in present},
    )


def picture_of(channel: ChannelSignature) -> FloatArray:
    """Return the miniature of a channel as numbers (512,)."""
    return np.frombuffer(base64.b64decode(channel.picture), "<f2").astype(np.float64)


def _thinned(place: range) -> slice:
    """Take every n-th index of a range, with as much left over before the first as after the last."""
    step = -(-len(place) // _MOST_SAMPLES)
    return slice(place.start + (len(place) - 1) % step // 2, place.stop, step)


def _lengths(spacing_mm: Sequence[float], shape: Sequence[int]) -> Triple:
    x, y, z = (edge * size for edge, size in zip(spacing_mm, shape, strict=True))
    return x, y, z


def _channel(voxels: FloatArray, inside: BoolArray) -> ChannelSignature:
    sample = voxels[inside].astype(np.float64)
    knots: Array = np.percentile(sample, _KNOTS)
    mean, sd = mean_and_sd(sample)
    return ChannelSignature(
        percentiles=tuple(float(value) for value in np.percentile(sample, PERCENTILES)),
        mean=mean,
        sd=sd,
        zeros=share_of_zeros(sample),
        step=_step(sample),
        picture=base64.b64encode(miniature(_ranks(voxels, knots)).astype("<f2").tobytes()).decode(),
    )


def _step(sample: FloatArray) -> float:
    """Return the median distance of neighbouring intensities between the quartiles, where each of them occurs.

    It tells a scale that was put on stored whole numbers, which the range of intensities alone may hide.
    """
    low, first, third, high = np.percentile(sample, (1, 25, 75, 99))
    values = np.unique(sample[(sample >= first) & (sample <= third)])
    step = float(np.median(np.diff(values))) if values.size > 1 else 0.0
    return max(step, float(high - low) / _FINEST)


def _ranks(voxels: FloatArray, knots: Array) -> FloatArray:
    """Replace intensities (X, Y, Z) by their ranks in the body, 0 to 100; equal ones have the mean of their ranks."""
    values, group = np.unique(knots, return_inverse=True)
    ranks = np.bincount(group, _KNOTS) / np.bincount(group)
    return np.interp(voxels, values, ranks)
