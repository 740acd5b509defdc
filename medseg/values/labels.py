"""Which numbers in a mask mean what, and which of them are the tumour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medseg.values.error import Refusal, wrong_setting
from medseg.values.volume import Array, BoolArray


@dataclass(frozen=True, slots=True)
class LabelScheme:
    """Label names with their numbers (0 is background and is not named), and regions: unions of labels.

    `tumour` names the region that makes a scan a tumour scan. Regions may overlap.
    """

    labels: Mapping[str, int]
    regions: Mapping[str, tuple[int, ...]]
    tumour: str

    def __post_init__(self) -> None:
        numbers = sorted(self.labels.values())
        if not numbers or numbers != sorted(set(numbers)) or numbers[0] < 1 or numbers[-1] > 255:
            raise wrong_setting(
                "data.labels", "labels are different numbers in 1..255", dict(self.labels), "renumber them"
            )
        for name, members in self.regions.items():
            if not members or not set(members) <= set(numbers):
                raise wrong_setting(
                    f"data.regions.{name}", f"a region joins labels of {numbers}", list(members), "name known labels"
                )
        if self.tumour not in self.regions:
            raise wrong_setting(
                "data.tumour",
                f"the tumour is one of the regions {sorted(self.regions)}",
                self.tumour,
                "name one of them",
            )

    @property
    def values(self) -> tuple[int, ...]:
        """All numbers a mask may hold, background first, ascending."""
        return (0, *sorted(self.labels.values()))

    def region(self, mask: Array, name: str) -> BoolArray:
        """Return where `mask` (any shape, integers) holds a label of the region."""
        found: BoolArray = np.isin(mask, self.regions[name])
        return found

    def to_indices(self, mask: Array) -> Array:
        """Turn label numbers into class indices 0..K-1 (uint8), in the order of `values`; refuses other numbers."""
        unknown = sorted({int(number) for number in np.unique(mask)} - set(self.values))
        if unknown:
            raise Refusal("mask", f"labels are among {self.values}", unknown, "name them in data.labels")
        table = np.zeros(256, np.uint8)
        table[list(self.values)] = np.arange(len(self.values), dtype=np.uint8)
        return table[mask]

    def to_labels(self, indices: Array) -> Array:
        """Turn class indices 0..K-1 back into label numbers (uint8)."""
        return np.asarray(self.values, np.uint8)[indices]
