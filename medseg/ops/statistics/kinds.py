"""What values a measure can take, and which of them are better."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

from medseg.values.error import wrong_setting


@dataclass(frozen=True, slots=True)
class Kind:
    """Bounds of a measure's values, and which are better; "neither" where a value alone is not good or bad."""

    low: float = -inf
    high: float = inf
    better: Literal["higher", "lower", "neither"] = "neither"

    @property
    def within(self) -> tuple[float, float]:
        """Bounds of a mean."""
        return self.low, self.high

    @property
    def difference_within(self) -> tuple[float, float]:
        """Bounds of the difference of two values."""
        return self.low - self.high, self.high - self.low


ANY = Kind()
_SHARE = Kind(0, 1, "higher")
_AMISS = Kind(0, inf, "lower")
_AMOUNT = Kind(0, inf)

_KINDS = {
    **dict.fromkeys(("dice", "iou", "sensitivity", "precision", "specificity", "nsd"), _SHARE),
    **dict.fromkeys(("lesion_dice", "lesion_f1", "pixel_accuracy", "miou"), _SHARE),
    **dict.fromkeys(("panoptic_quality", "segmentation_quality", "recognition_quality"), _SHARE),
    **dict.fromkeys(("hd95_mm", "assd_mm", "lesion_hd95_mm"), _AMISS),
    **dict.fromkeys(("false_lesions", "false_positive_ml", "false_negative_ml"), _AMISS),
    **dict.fromkeys(("ece", "brier"), Kind(0, 1, "lower")),
    **dict.fromkeys(("volume_truth_ml", "volume_predicted_ml", "lesions_truth"), _AMOUNT),
    "lesions_found": Kind(0, inf, "higher"),
    "volume_error_ml": ANY,
}


def kind_of(measure: str) -> Kind:
    """Return the kind of a column of scores.csv; refuses the name of anything else."""
    if measure not in _KINDS:
        raise wrong_setting("measure", f"it is one of {', '.join(_KINDS)}", measure, "name one of them")
    return _KINDS[measure]
