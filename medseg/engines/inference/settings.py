"""Settings of the sliding windows; no computing library is needed to read them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from medseg.ops.postprocessing import Postprocessing
from medseg.values.settings import Settings


class InferenceSettings(Settings):
    """How a whole volume is predicted window by window."""

    overlap: float = Field(
        0.5, ge=0.0, le=0.9, description="share of a window's edge that the next window covers again"
    )
    blend: Literal["gaussian", "constant"] = Field(
        "gaussian", description="weight of a window's voxels: gaussian trusts its middle"
    )
    mirror: bool = Field(
        False, description="average over mirror images along the axes that training flipped; each doubles the work"
    )
    average: Literal["probabilities", "logits"] = Field(
        "probabilities", description="what is averaged over flips and over the models of several folds"
    )
    precision: Literal["bf16", "float32"] = Field(
        "bf16", description="bf16 autocast on CUDA; a CPU always computes in float32"
    )
    postprocess: Literal["auto", "none"] | Postprocessing = Field(
        "auto", description="clean-up of label maps; auto does what helped on the validation cases, if anything did"
    )

    def for_validation(self) -> InferenceSettings:
        """Return what training looks at when it scores scans; mirrors, folds and clean-up come after it."""
        return InferenceSettings(overlap=self.overlap, blend=self.blend, precision=self.precision)
