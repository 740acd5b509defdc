"""Settings of the sliding windows; no computing library is needed to read them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from medseg.values.settings import Settings


class InferenceSettings(Settings):
    """How a whole volume is predicted window by window."""

    overlap: float = Field(
        0.5, ge=0.0, le=0.9, description="share of a window's edge that the next window covers again"
    )
    blend: Literal["gaussian", "constant"] = Field(
        "gaussian", description="weight of a window's voxels: gaussian trusts its middle"
    )
    mirror: bool = Field(False, description="average over all flips of the spatial axes; 4 or 8 times the work")
    precision: Literal["bf16", "float32"] = Field(
        "bf16", description="bf16 autocast on CUDA; a CPU always computes in float32"
    )
