"""Which numbers in a mask mean what, and which of them are the tumour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medseg.values.error import Refusal, wrong_setting
from medseg.values.volume import Array, BoolArray

IGNORED = 255  # the class index of voxels that nobody annotated


@dataclass(frozen=True, slots=True)
class LabelScheme:
    """Label names with their numbers (0 is background and is not named), and regions: unions of labels.

    `tumour` names the region that makes a scan a tumour scan. Regions may overlap.
    `ignore` is the number of voxels that nobody annotated: no label, no background, left out of loss and scores.
    """

    labels: Mapping[str, int]
    regions: Mapping[str, tuple[int, ...]]
    tumour: str
    ignore: int | None = None

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
        if len(numbers) >= IGNORED:
            rule = f"at most {IGNORED - 1} labels, as class {IGNORED} is kept for voxels that nobody annotated"
            raise wrong_setting("data.labels", rule, len(numbers), "leave some out or join them")
        if self.ignore is not None and (self.ignore in numbers or not 1 <= self.ignore <= 255):
            raise wrong_setting(
                "data.ignore", f"is a number in 1..255 that is no label of {numbers}", self.ignore, "choose another"
            )

    @property
    def allowed(self) -> tuple[int, ...]:
        """All numbers that may stand in a mask: `values`, and the ignored number last."""
        return self.values if self.ignore is None else (*self.values, self.ignore)

    @property
    def values(self) -> tuple[int, ...]:
        """The numbers that mean something, background first, ascending: one class each."""
        return (0, *sorted(self.labels.values()))

    def region(self, mask: Array, name: str) -> BoolArray:
        """Return where `mask` (any shape, integers) holds a label of the region."""
        found: BoolArray = np.isin(mask, self.regions[name])
        return found

    def annotated_classes(self, names: Sequence[str] | None) -> tuple[int, ...] | None:
        """Return the class indices of the labels that were looked for in a case; None where it was all of them.

        `names` None means all. Refuses a name that is no label.
        """
        if names is None or set(names) == set(self.labels):
            return None
        strange = sorted(set(names) - set(self.labels))
        if strange:
            raise Refusal("annotated", f"labels are among {list(self.labels)}", strange, "name labels of the data set")
        return tuple(sorted(self.values.index(self.labels[name]) for name in set(names)))

    def is_annotated(self, region: str, names: Sequence[str] | None) -> bool:
        """Tell whether every label of a region was looked for in a case (`names` None: all labels were)."""
        looked_for = self.labels if names is None else names
        return all(name in looked_for for name, number in self.labels.items() if number in self.regions[region])

    def to_indices(self, mask: Array) -> Array:
        """Turn label numbers into class indices 0..K-1 (uint8), in the order of `values`; refuses other numbers.

        The ignored number becomes `IGNORED`.
        """
        unknown = sorted({int(number) for number in np.unique(mask)} - set(self.allowed))
        if unknown:
            raise Refusal("mask", f"labels are among {self.allowed}", unknown, "name them in data.labels")
        table = np.zeros(256, np.uint8)
        table[list(self.values)] = np.arange(len(self.values), dtype=np.uint8)
        if self.ignore is not None:
            table[self.ignore] = IGNORED
        return table[mask]

    def to_labels(self, indices: Array) -> Array:
        """Turn class indices 0..K-1 back into label numbers (uint8)."""
        return np.asarray(self.values, np.uint8)[indices]
