"""Label schemes: numbers to classes, the number that nobody annotated, and which labels were looked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medseg.values.error import Refusal
from medseg.values.labels import IGNORED, LabelScheme

SCHEME = LabelScheme({"oedema": 2, "core": 7, "organ": 9}, {"tumour": (2, 7), "organ": (9,)}, "tumour", ignore=4)


def test_the_ignored_number_has_a_class_of_its_own_and_belongs_to_no_region() -> None:
    mask = np.array([0, 2, 4, 7, 9], np.uint8)
    assert SCHEME.to_indices(mask).tolist() == [0, 1, IGNORED, 2, 3]
    assert SCHEME.values == (0, 2, 7, 9)
    assert SCHEME.allowed == (0, 2, 7, 9, 4)
    assert SCHEME.region(mask, "tumour").tolist() == [False, True, False, True, False]


def test_without_an_ignored_number_it_is_a_stranger() -> None:
    plain = LabelScheme(SCHEME.labels, SCHEME.regions, "tumour")
    with pytest.raises(Refusal, match=r"mask: labels are among \(0, 2, 7, 9\), got \[4\]"):
        plain.to_indices(np.array([4], np.uint8))


@pytest.mark.parametrize("number", [2, 0, 256])
def test_a_label_or_background_cannot_be_ignored(number: int) -> None:
    with pytest.raises(
        Refusal, match=rf"data\.ignore: is a number in 1\.\.255 .*, got {number}; choose another"
    ) as found:
        LabelScheme(SCHEME.labels, SCHEME.regions, "tumour", number)
    assert found.value.exit_code == 2


def test_labels_leave_a_class_for_ignored_voxels() -> None:
    many: dict[str, int] = {f"l{number}": number for number in range(1, 255)}
    full = LabelScheme(many, {"all": (1,)}, "all", 255)
    assert full.to_indices(np.array([254, 255], np.uint8)).tolist() == [254, IGNORED]
    with pytest.raises(Refusal, match=r"data\.labels: at most 254 labels, .*, got 255; leave some out"):
        LabelScheme({**many, "last": 255}, {"all": (1,)}, "all")


@pytest.mark.parametrize(
    ("names", "classes"),
    [(None, None), (("core", "organ", "oedema"), None), (("organ", "oedema"), (1, 3)), (("core",), (2,)), ((), ())],
)
def test_annotated_names_become_classes(names: Any, classes: Any) -> None:
    assert SCHEME.annotated_classes(names) == classes


def test_a_name_that_is_no_label_is_refused() -> None:
    with pytest.raises(Refusal, match=r"annotated: labels are among \['oedema', 'core', 'organ'\], got \['tumour'\]"):
        SCHEME.annotated_classes(("core", "tumour"))


def test_a_region_is_annotated_where_all_its_labels_are() -> None:
    assert SCHEME.is_annotated("tumour", None)
    assert SCHEME.is_annotated("tumour", ("core", "oedema"))
    assert not SCHEME.is_annotated("tumour", ("core", "organ"))
    assert SCHEME.is_annotated("organ", ("organ",))
    assert not SCHEME.is_annotated("organ", ())
