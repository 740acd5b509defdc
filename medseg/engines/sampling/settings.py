"""What a patch is and how it may be changed before the network sees it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from medseg.engines.sampling.intensity_settings import (
    BiasFieldSettings,
    BlurSettings,
    BrightnessSettings,
    ChannelDropoutSettings,
    ContrastSettings,
    GammaSettings,
    LowResolutionSettings,
    NoiseSettings,
    NotNegative,
    Positive,
    RicianSettings,
    Share,
    SpanSettings,
)
from medseg.values.settings import Settings

CHANNEL_DROPOUT = 0.25  # where cases may lack channels and nothing else was set


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
    balance: Literal["class", "lesion", "voxel"] = Field(
        "class",
        description="what such a voxel is chosen by, after the case: its class, its lesion (so that small ones are "
        "seen as often as big ones), or not at all, each voxel like any other",
    )
    case_weights: dict[str, NotNegative] = Field(
        {}, description="how often a case is drawn, by its name; 1 for all others, 0 for never"
    )
    plane: Literal["auto", "x", "y", "z"] = Field("auto", description="axis that 2D slices are cut across")
    padding: bool = Field(False, description="allow a patch that is larger than the images")
    memory_gb: float = Field(4.0, gt=0, description="memory that the plan may count on for one training step")


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
    per_axis_probability: Share = Field(0.0, description="chance that each axis gets a strength of its own")
    low: Positive = 0.85
    high: Positive = 1.2


class ElasticSettings(SpanSettings):
    """Move points of a coarse grid by at most `low` to `high` of their distance and everything else smoothly with them.

    Up to 0.4 of the distance nothing is ever folded over.
    Source: cubic B-splines; Choi and Lee 2000, "Injectivity conditions of 2D and 3D uniform cubic B-spline functions".
    """

    probability: Share = 0.0
    spacing: Annotated[float, Field(ge=4)] = Field(32.0, description="voxels between points, along the finest axis")
    low: Annotated[float, Field(ge=0, le=0.4)] = 0.0
    high: Annotated[float, Field(ge=0, le=0.4)] = 0.25


class AugmentSettings(Settings):
    """Random changes of training patches; probability 0 switches one off. The defaults are light."""

    flip: FlipSettings = FlipSettings()
    rotation: RotationSettings = RotationSettings()
    scaling: ScalingSettings = ScalingSettings()
    elastic: ElasticSettings = ElasticSettings()
    gamma: GammaSettings = GammaSettings()
    brightness: BrightnessSettings = BrightnessSettings()
    contrast: ContrastSettings = ContrastSettings()
    noise: NoiseSettings = NoiseSettings()
    rician: RicianSettings = RicianSettings()
    blur: BlurSettings = BlurSettings()
    bias_field: BiasFieldSettings = BiasFieldSettings()
    low_resolution: LowResolutionSettings = LowResolutionSettings()
    channel_dropout: ChannelDropoutSettings = ChannelDropoutSettings()

    def for_missing_channels(self) -> AugmentSettings:
        """Return settings that get a network used to missing channels, unless the dropout was set already."""
        if self.channel_dropout.probability is not None:
            return self
        dropout = ChannelDropoutSettings(probability=CHANNEL_DROPOUT)
        return self.model_copy(update={"channel_dropout": dropout})
