"""Settings of the loss; no computing library is needed to read them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from medseg.values.error import wrong_setting
from medseg.values.settings import Settings


class LossSettings(Settings):
    """What training makes small, and whether outputs are classes (softmax) or overlapping regions (sigmoid)."""

    kind: Literal["dice", "dice_ce", "dice_focal", "tversky", "ce"] = "dice_ce"
    activation: Literal["softmax", "sigmoid"] = Field(
        "softmax", description="softmax: one class per voxel; sigmoid: regions"
    )
    smooth: float = Field(1.0, gt=0.0, description="voxels that steady the Dice of a class absent from the batch")
    gamma: float = Field(2.0, ge=0.0, description="focal: how much less a voxel counts the surer it is")
    alpha: float = Field(0.3, ge=0.0, description="tversky: weight of false positives")
    beta: float = Field(0.7, gt=0.0, description="tversky: weight of false negatives")
    dice_weight: float = Field(1.0, ge=0.0, description="weight of the Dice term in dice_ce and dice_focal")
    ce_weight: float = Field(1.0, ge=0.0, description="weight of the cross-entropy or focal term beside Dice")

    @model_validator(mode="after")
    def _weighs_something(self) -> LossSettings:
        if self.kind in ("dice_ce", "dice_focal") and self.dice_weight == self.ce_weight == 0:
            rule = "dice_weight or ce_weight is above 0, or nothing is learned"
            raise wrong_setting("loss.ce_weight", rule, 0, "raise one of them, or set loss.kind=dice or ce")
        return self
