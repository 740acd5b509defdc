"""How a file is to be read where its header leaves it open, and which faults the user lets us mend while reading."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from medseg.values.settings import Settings

Repair = Literal[
    "use_sform",
    "use_qform",
    "lengths_are_mm",
    "fill_nonfinite",
    "first_volume",
    "round_mask",
    "drop_unknown_labels",
    "resample_mask",
]


class Reading(Settings):
    """What may be done to a file while it is read. The file itself is never written to.

    use_sform, use_qform: which of two affines counts where they disagree.  lengths_are_mm: take the numbers as mm
    whatever unit the header names.  fill_nonfinite: NaN and infinite voxels become the lowest finite one of the image.
    first_volume: a file with several volumes stands for its first.  round_mask: values between whole numbers go to the
    nearest one.  drop_unknown_labels: numbers outside the scheme become background.  resample_mask: a mask on another
    grid is brought to the grid of the first channel (nearest neighbour).
    """

    assume_orientation: str | None = Field(
        None,
        pattern=r"^[RLAPSI]{3}$",
        description="directions of the stored axes of files whose header names none, like RAS or LPS",
        examples=["RAS", "LPS", "one of R or L, one of A or P, one of S or I"],
    )
    repair: tuple[Repair, ...] = Field((), description="faults to mend while reading; the source is never written to")

    def only(self, *repairs: Repair, orientation: bool = False) -> Reading:
        """Return the part of this reading that was applied."""
        kept = tuple(one for one in self.repair if one in repairs)
        return Reading(assume_orientation=self.assume_orientation if orientation else None, repair=kept)


AS_IT_IS = Reading()


def override(repair: Repair) -> str:
    """Return the setting that asks for a repair."""
    return f"data.repair=[{repair}]"
