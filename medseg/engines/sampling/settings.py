"""What a patch is and how it may be changed before the network sees it."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import Field, model_validator

from medseg.values.settings import Settings

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
CHANNEL_DROPOUT = 0.25  # where cases may lack channels and nothing else was set
Span = TypeVar("Span", bound="SpanSettings")


class PatchSettings(Settings):
    """Size and number of the patches of a step, and where they come from."""

    size: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        None, description="voxels per axis, three numbers in 3D, two in 2D; null lets the plan choose"
    )
    batch: int | None = Field(None, ge=1, description="patches per step; null lets the plan choose")
    tumour_share: float = Field(
        1 / 3,
        ge=0,
        le=1,
        description="share of the patches placed on a labelled voxel; at least one patch when above 0",
    )
    plane: Literal["auto", "x", "y", "z"] = Field("auto", description="axis that 2D slices are cut across")
    padding: bool = Field(False, description="allow a patch that is larger than the images")
    memory_gb: float = Field(4.0, gt=0, description="memory that the plan may count on for one training step")


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


class FlipSettings(Settings):
    """Mirror each of `axes` with `probability`; x runs from left to right."""

    probability: Share = 0.5
    axes: tuple[Literal["x", "y", "z"], ...] = ("x",)


class RotationSettings(Settings):
    """Turn about the x, y and z axis by at most `degrees`; not in a plane of very unlike voxel edges."""

    probability: Share = 0.2
    degrees: tuple[float, float, float] = (15.0, 15.0, 15.0)


class ScalingSettings(SpanSettings):
    """Make everything larger (above 1) or smaller."""

    probability: Share = 0.2
    low: Positive = 0.85
    high: Positive = 1.2


class GammaSettings(SpanSettings):
    """Raise intensities to a power; `inverted_probability` does the same to the negative image."""

    probability: Share = 0.15
    inverted_probability: Share = 0.05
    low: Positive = 0.7
    high: Positive = 1.5


class BrightnessSettings(SpanSettings):
    """Multiply intensities."""

    probability: Share = 0.15
    low: Positive = 0.8
    high: Positive = 1.25


class ContrastSettings(SpanSettings):
    """Stretch intensities about their mean, within their range."""

    probability: Share = 0.15
    low: Positive = 0.75
    high: Positive = 1.25


class NoiseSettings(SpanSettings):
    """Add Gaussian noise of this standard deviation."""

    probability: Share = 0.1
    low: Annotated[float, Field(ge=0)] = 0.0
    high: Annotated[float, Field(ge=0)] = 0.2


class BlurSettings(SpanSettings):
    """Blur with a Gaussian of this standard deviation, in voxels."""

    probability: Share = 0.1
    low: Positive = 0.5
    high: Positive = 1.0


class LowResolutionSettings(SpanSettings):
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


class AugmentSettings(Settings):
    """Random changes of training patches; probability 0 switches one off. The defaults are light."""

    flip: FlipSettings = FlipSettings()
    rotation: RotationSettings = RotationSettings()
    scaling: ScalingSettings = ScalingSettings()
    gamma: GammaSettings = GammaSettings()
    brightness: BrightnessSettings = BrightnessSettings()
    contrast: ContrastSettings = ContrastSettings()
    noise: NoiseSettings = NoiseSettings()
    blur: BlurSettings = BlurSettings()
    low_resolution: LowResolutionSettings = LowResolutionSettings()
    channel_dropout: ChannelDropoutSettings = ChannelDropoutSettings()

    def for_missing_channels(self) -> AugmentSettings:
        """Return settings that get a network used to missing channels, unless the dropout was set already."""
        if self.channel_dropout.probability is not None:
            return self
        dropout = ChannelDropoutSettings(probability=CHANNEL_DROPOUT)
        return self.model_copy(update={"channel_dropout": dropout})
