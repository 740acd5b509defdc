"""What is drawn for the channels of a patch: how each intensity changes, and which channels are blank."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from medseg.engines.sampling.changing.bias_field import TERMS, largest
from medseg.engines.sampling.drawing.drawn import NEUTRAL, Intensity
from medseg.engines.sampling.intensity_settings import ChannelSettings
from medseg.engines.sampling.settings import AugmentSettings
from medseg.values.volume import FloatArray

_KINDS = ("noise", "blur", "brightness", "contrast", "low_resolution", "gamma_inverted", "gamma", "rician", "bias")


def random_table(generator: np.random.Generator, channels: int) -> list[list[list[float]]]:
    """Draw two numbers (chance, place) for each kind of change, for the patch (row 0) and for each channel."""
    table: list[list[list[float]]] = generator.random((channels + 1, len(_KINDS), 2)).tolist()
    return table


def intensities(
    table: list[list[list[float]]], augment: AugmentSettings, bias_stream: Callable[[], np.random.Generator]
) -> tuple[Intensity, ...]:
    """Read from the table how each channel changes; a bias field takes its coefficients from a stream of its own."""
    patch, *channels = table
    chosen: list[dict[str, float]] = [{} for _ in channels]
    for kind, (name, settings, probability) in enumerate(_settings(augment)):
        if patch[kind][0] >= probability:
            continue
        for channel, numbers in enumerate(channels):
            chance, place = numbers[kind]
            if chance < settings.channel_probability:
                chosen[channel][name] = settings.strength(patch[kind][1] if settings.one_strength else place)
    limits = [found.pop("bias", 0.0) for found in chosen]
    biases = _biases(limits, bias_stream) if any(limits) else [()] * len(limits)
    return tuple(
        Intensity(**found, bias=bias) if found or bias else NEUTRAL for found, bias in zip(chosen, biases, strict=True)
    )


def _settings(augment: AugmentSettings) -> tuple[tuple[str, ChannelSettings, float], ...]:
    """Return the settings and the probability of each kind of change, in the order of the table."""
    owners = (augment.noise, augment.blur, augment.brightness, augment.contrast, augment.low_resolution,
              augment.gamma, augment.gamma, augment.rician, augment.bias_field)  # fmt: skip
    return tuple(
        (name, owner, augment.gamma.inverted_probability if name == "gamma_inverted" else owner.probability)
        for name, owner in zip(_KINDS, owners, strict=True)
    )


def _biases(limits: Sequence[float], bias_stream: Callable[[], np.random.Generator]) -> list[tuple[float, ...]]:
    """Draw coefficients for each channel, whose polynomial has its limit as largest size; none where that is 0."""
    drawn = bias_stream().uniform(-1.0, 1.0, (len(limits), len(TERMS)))
    drawn *= (np.asarray(limits) / largest(drawn))[:, None]
    return [tuple(row) if limit else () for row, limit in zip(drawn.tolist(), limits, strict=True)]


def blank_channels(numbers: FloatArray, missing: Sequence[int], chance: float) -> tuple[int, ...]:
    """Return the channels that are blank, by one random number each and one more; one that is there is always kept."""
    *places, last = numbers.tolist()
    present = [channel for channel in range(len(places)) if channel not in missing]
    dropped = [channel for channel, place in enumerate(places) if place < chance]
    if present and set(present) <= set(dropped):
        dropped.remove(present[int(last * len(present))])
    return tuple(sorted({*dropped, *missing}))
