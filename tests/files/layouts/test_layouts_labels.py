"""What masks mean is said by the settings or by the data set."""

from __future__ import annotations

from pathlib import Path

import pytest

from medseg.files.layouts.find import DataSettings, Found, FoundCase, find_cases, label_scheme
from medseg.values.error import Refusal
from medseg.values.labels import LabelScheme
from tests.files.layouts.layout_trees import described, refusal


def scheme(settings: DataSettings, **labels: int) -> LabelScheme:
    """Make the scheme of a data set that describes its labels itself."""
    return label_scheme(settings, Found("msd", ("MRI",), (), labels))


def test_labels_come_from_the_settings_else_from_the_data_set() -> None:
    assert scheme(DataSettings(), anterior=1, posterior=2).labels == {"anterior": 1, "posterior": 2}
    assert scheme(DataSettings(labels={"Core": 4}), anterior=1).labels == {"Core": 4}
    with pytest.raises(Refusal, match=r"data\.labels: names are needed .*; set data\.labels, like") as caught:
        scheme(DataSettings())
    assert caught.value.exit_code == 2


def test_the_tumour_is_a_region_in_any_case() -> None:
    two = scheme(DataSettings(), a=1, b=3)
    assert two.regions == {"a": (1,), "b": (3,), "foreground": (1, 3)}
    assert two.tumour == "foreground"
    assert scheme(DataSettings(), tumour=1, organ=2).tumour == "tumour"
    assert scheme(DataSettings(), tumor=1, organ=2).tumour == "tumor"
    assert scheme(DataSettings(), lesion=1).tumour == "lesion"
    assert scheme(DataSettings(), lesion=1).regions == {"lesion": (1,)}
    assert scheme(DataSettings(tumour="b"), a=1, b=3).regions == {"a": (1,), "b": (3,)}
    regions = {"whole": (1, 3), "core": (3,)}
    assert scheme(DataSettings(regions=regions, tumour="whole"), a=1, b=3).regions == regions


def test_a_wrong_tumour_or_region_is_a_wrong_setting() -> None:
    with pytest.raises(Refusal, match=r"data\.tumour: the tumour is one of the regions \['a', 'b'\], got c"):
        scheme(DataSettings(tumour="c"), a=1, b=3)
    with pytest.raises(Refusal, match=r"data\.tumour: is one of the regions \['foreground', 'organ'\]"):
        scheme(DataSettings(), foreground=1, organ=2)
    with pytest.raises(Refusal, match=r"data\.regions\.x: a region joins labels of \[1\]"):
        scheme(DataSettings(regions={"x": (2,)}), a=1)


def test_a_data_set_names_regions_and_what_to_ignore(tmp_path: Path) -> None:
    labels = {"background": 0, "Whole": [1, 2, 3], "core": [2, 3], "enhancing": 3, "ignore": 4}
    described(tmp_path, "a", labels=labels, regions_class_order=[1, 2, 3])
    found = find_cases(tmp_path, DataSettings())
    assert (found.regions, found.ignore) == ({"whole": (1, 2, 3), "core": (2, 3), "enhancing": (3,)}, 4)
    made = label_scheme(DataSettings(), found)
    assert made.labels == {"label_1": 1, "label_2": 2, "enhancing": 3}
    assert (made.regions["whole"], made.tumour, made.regions["foreground"]) == ((1, 2, 3), "foreground", (1, 2, 3))
    assert (made.ignore, made.allowed) == (4, (0, 1, 2, 3, 4))
    own = label_scheme(DataSettings(labels={"necrosis": 1, "oedema": 2, "enhancing": 3}, tumour="oedema"), found)
    assert (own.regions, own.ignore) == ({"necrosis": (1,), "oedema": (2,), "enhancing": (3,)}, 4)


def test_the_ignored_number_is_never_a_label(tmp_path: Path) -> None:
    described(tmp_path, "a", labels={"core": 1, "ignore": 2})
    found = find_cases(tmp_path, DataSettings())
    assert found.labels == {"core": 1}
    assert label_scheme(DataSettings(labels={"core": 1, "rim": 2}), found).ignore is None
    assert label_scheme(DataSettings(ignore=9), found).ignore == 9
    unnamed = Found("pairs", ("image",), (), {"label_1": 1, "label_7": 7})
    assert label_scheme(DataSettings(ignore=7), unnamed).labels == {"label_1": 1}
    with pytest.raises(Refusal, match=r"data\.labels: names what was annotated, got Ignore: 2; .* set data\.ignore=2"):
        label_scheme(DataSettings(labels={"core": 1, "Ignore": 2}), found)
    described(tmp_path, "a", labels={"core": 1, "ignore": [2, 3]})
    assert '"ignore" is one number, got [2, 3]; ' in refusal(tmp_path, exit_code=1)


def test_annotated_labels_are_labels() -> None:
    cases = (
        FoundCase("a", "a", {}, None, annotated=("core",)),
        FoundCase("b", "b", {}, None, annotated=("rim", "cor")),
    )
    settings = DataSettings(labels={"core": 1, "rim": 2})
    with pytest.raises(Refusal, match=r"b: annotated labels are among core, rim, got cor; mend the column annotated"):
        label_scheme(settings, Found("csv", ("MR",), cases))
    assert label_scheme(settings, Found("csv", ("MR",), cases[:1])).labels == settings.labels
