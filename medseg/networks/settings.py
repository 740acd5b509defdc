"""Settings of the networks; no computing library is needed to read them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from medseg.values.settings import Settings

Option = int | float | str | bool | list[int | float | str | bool]
MonaiName = Literal["DynUNet", "UNet", "AttentionUnet", "SegResNet", "SwinUNETR", "UNETR", "VNet"]


class _UNet(Settings):
    """What the 2D and the 3D U-Net have in common."""

    width: int = Field(32, ge=1, description="features of the finest level; they double with every level")
    widest: int = Field(320, ge=1, description="no level gets more features than this")
    levels: int | None = Field(
        None, ge=2, le=10, description="resolution levels; none: the plan decides from the patch"
    )
    deep_supervision: bool = Field(False, description="also train outputs of coarser decoder levels")
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="share of feature maps dropped after each convolution")


class UNet3D(_UNet):
    """Our U-Net on blocks of voxels."""

    kind: Literal["unet3d"] = "unet3d"

    @property
    def dimensions(self) -> Literal[2, 3]:
        """Number of spatial axes the network sees."""
        return 3


class UNet2D(_UNet):
    """Our U-Net on slices."""

    kind: Literal["unet2d"] = "unet2d"

    @property
    def dimensions(self) -> Literal[2, 3]:
        """Number of spatial axes the network sees."""
        return 2


class Monai(Settings):
    """One of MONAI's networks; `options` go to its constructor under MONAI's own names."""

    kind: Literal["monai"] = "monai"
    name: MonaiName = "DynUNet"
    dimensions: Literal[2, 3] = 3
    width: int = Field(
        24, ge=1, description="features of the finest level: multiples of 8 suit SegResNet, of 12 SwinUNETR"
    )
    widest: int = Field(320, ge=1, description="no level gets more features than this")
    levels: int | None = Field(
        None, ge=2, le=10, description="levels of DynUNet, UNet, AttentionUnet; none: the plan decides"
    )
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="dropout rate wherever the network has one")
    options: dict[str, Option] = Field(default_factory=dict, description="further arguments of MONAI's constructor")

    @property
    def deep_supervision(self) -> bool:
        """Whether coarser outputs are trained too: never, MONAI's networks return one tensor."""
        return False


NetworkSettings = Annotated[UNet3D | UNet2D | Monai, Field(discriminator="kind")]
