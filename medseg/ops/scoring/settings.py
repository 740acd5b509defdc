"""What decides how a scan is scored."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import Field

from medseg.ops.scoring.lesions import RuleName
from medseg.ops.scoring.overlap import EmptyRule
from medseg.ops.scoring.rows import HEALTHY
from medseg.values.error import wrong_setting
from medseg.values.settings import Settings

GridRule = Literal["refuse", "resample"]
Millimetres = Annotated[float, Field(ge=0)]
USUAL_TOLERANCE_MM = 1.0


class ScoreSettings(Settings):
    """What counts as near, what two empty masks are worth, how lesions are told apart, which grids are taken."""

    nsd_tolerance_mm: Millimetres | dict[str, Millimetres] = Field(
        default=USUAL_TOLERANCE_MM,
        description="surfaces this close agree; one number, or {region: number} and 1 for the others",
    )
    empty: EmptyRule = Field(default="undefined", description="Dice and its kin where truth and prediction are empty")
    lesions: RuleName = Field(default="none", description="BraTS 2023 task whose lesion-wise rule and penalty are used")
    grid: GridRule = Field(
        default="refuse", description="a prediction on another grid than the truth; resample takes the nearest voxels"
    )

    def tolerance_mm(self, region: str) -> float:
        """Return how close surfaces of a region are to be."""
        if isinstance(self.nsd_tolerance_mm, dict):
            return self.nsd_tolerance_mm.get(region, USUAL_TOLERANCE_MM)
        return self.nsd_tolerance_mm

    def demand_regions(self, regions: Collection[str]) -> None:
        """Refuse (exit 2) a tolerance for a region that is not among `regions`."""
        if not isinstance(self.nsd_tolerance_mm, dict):
            return
        known = sorted({*regions, HEALTHY})
        for name in self.nsd_tolerance_mm:
            if name not in known:
                rule = f"a tolerance belongs to one of the regions {known}"
                raise wrong_setting(f"nsd_tolerance_mm.{name}", rule, name, "name a region of the data set")
