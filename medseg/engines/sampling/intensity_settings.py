"""How the intensities of a patch may be changed: a probability and a range for each kind of change."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import Field, model_validator

from medseg.values.settings import Settings

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Span = TypeVar("Span", bound="SpanSettings")


class SpanSettings(Settings):
    """An operation that happens with `probability` and takes its strength evenly from `low` to `high`."""

    probability: Share
    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self: Span) -> Span:
        if self.low > self.high:
            raise ValueError(f"low is at most high, got {self.low} and {self.high}")
        return self

    def strength(self, place: float) -> float:
        """Return the strength at `place`, 0 for `low` and 1 for `high`."""
        return self.low + (self.high - self.low) * place


class ChannelSettings(SpanSettings):
    """A change of intensities: it happens to a patch with `probability`, and then to each channel on its own."""

    channel_probability: Share = Field(1.0, description="chance of each channel where the change happens to a patch")
    one_strength: bool = Field(False, description="the same strength in all channels of a patch")


class FactorSettings(ChannelSettings):
    """A change by a factor or a power: half of the strengths are below 1 and half above where both can be."""

    def strength(self, place: float) -> float:
        """Return the strength at `place`: evenly from `low` to 1 in the first half, from 1 to `high` in the second."""
        if not self.low < 1.0 < self.high:
            return super().strength(place)
        if place < 0.5:
            return self.low + (1.0 - self.low) * 2.0 * place
        return 1.0 + (self.high - 1.0) * (2.0 * place - 1.0)


class GammaSettings(FactorSettings):
    """Raise intensities to a power; `inverted_probability` does the same to the negative image."""

    probability: Share = 0.15
    inverted_probability: Share = 0.05
    low: Positive = 0.7
    high: Positive = 1.5


class BrightnessSettings(FactorSettings):
    """Multiply intensities."""

    probability: Share = 0.15
    low: Positive = 0.8
    high: Positive = 1.25


class ContrastSettings(FactorSettings):
    """Stretch intensities about their mean, within their range."""

    probability: Share = 0.15
    low: Positive = 0.75
    high: Positive = 1.25


class NoiseSettings(ChannelSettings):
    """Add Gaussian noise of this standard deviation."""

    probability: Share = 0.1
    low: NotNegative = 0.0
    high: NotNegative = 0.2


class RicianSettings(ChannelSettings):
    """Add the noise of magnitude images, of this standard deviation; the darkest voxel counts as no signal."""

    probability: Share = 0.0
    low: NotNegative = 0.0
    high: NotNegative = 0.1


class BlurSettings(ChannelSettings):
    """Blur with a Gaussian of this standard deviation, in voxels."""

    probability: Share = 0.1
    low: Positive = 0.5
    high: Positive = 1.0


class BiasFieldSettings(ChannelSettings):
    """Multiply by a smooth field of mean 1; the strength is the largest logarithm of it, before its mean is made 1.

    Intensities are counted from the darkest voxel, which counts as no signal.
    """

    probability: Share = 0.0
    low: NotNegative = 0.1
    high: NotNegative = 0.5


class LowResolutionSettings(ChannelSettings):
    """Keep only this share of the samples along each axis and interpolate the rest."""

    probability: Share = 0.1
    low: Annotated[float, Field(gt=0, le=1)] = 0.5
    high: Annotated[float, Field(gt=0, le=1)] = 1.0


class ChannelDropoutSettings(Settings):
    """Set whole channels of a patch to 0, never all of them, so that the network can do without."""

    probability: Share | None = Field(
        None, description="chance of each channel; null: 0.25 where cases may lack channels, else 0"
    )

    @property
    def chance(self) -> float:
        """The probability, 0 where it was left open."""
        return self.probability or 0.0
