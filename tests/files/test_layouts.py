"""The shape of a data set is told by what lies in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medseg.files.layouts import ChannelFile, DataSettings, Found, find_cases, label_scheme
from medseg.values.error import Refusal
from medseg.values.labels import LabelScheme

DATA = Path(__file__).parents[3] / "shared" / "data"


def touch(root: Path, *names: str) -> Path:
    """Make empty files: layouts look at names only."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def described(root: Path, *cases: str, **more: Any) -> Path:
    """Make a data set in the MSD layout."""
    pairs = [{"image": f"./imagesTr/{case}.nii.gz", "label": f"./labelsTr/{case}.nii.gz"} for case in cases]
    touch(root, *(path for pair in pairs for path in pair.values()))
    (root / "dataset.json").write_text(json.dumps({"training": pairs, **more}))
    return root


def refusal(root: Path, settings: DataSettings, exit_code: int = 2) -> str:
    """Return the message of the refusal."""
    with pytest.raises(Refusal) as caught:
        find_cases(root, settings)
    assert caught.value.exit_code == exit_code
    return str(caught.value)


def summary(found: Found) -> dict[str, tuple[dict[str, str], str | None]]:
    """Return the files of each case as texts."""
    return {
        case.case: (
            {name: file.path.as_posix() for name, file in case.channels.items()},
            case.mask.as_posix() if case.mask else None,
        )
        for case in found.cases
    }


def test_msd_is_found_with_modalities_and_labels(tmp_path: Path) -> None:
    labels = {"0": "background", "1": "Anterior", "2": "Posterior horn"}
    described(tmp_path, "b_2", "a_1", modality={"0": "FLAIR", "1": "T1w"}, labels=labels)
    found = find_cases(tmp_path, DataSettings())
    assert found.layout == "msd"
    assert found.channels == ("FLAIR", "T1w")
    assert found.labels == {"anterior": 1, "posterior horn": 2}
    assert [case.case for case in found.cases] == ["a_1", "b_2"]
    path = Path("imagesTr/a_1.nii.gz")
    assert found.cases[0].channels == {"FLAIR": ChannelFile(path, 0, 2), "T1w": ChannelFile(path, 1, 2)}
    assert found.cases[0].mask == Path("labelsTr/a_1.nii.gz")


def test_msd_modalities_are_chosen_and_renamed_by_name_or_number(tmp_path: Path) -> None:
    described(tmp_path, "a", modality={"1": "T1w", "0": "FLAIR", "2": "T2w"})
    found = find_cases(tmp_path, DataSettings(channels={"late": "2", "first": "flair"}))
    assert found.channels == ("late", "first")
    assert [file.component for file in found.cases[0].channels.values()] == [2, 0]
    message = refusal(tmp_path, DataSettings(channels={"PET": "pet"}))
    assert message.startswith("data.channels.PET: is one of ['FLAIR', 'T1w', 'T2w'], got pet; ")


def test_equal_modality_names_get_their_number(tmp_path: Path) -> None:
    described(tmp_path, "a", modality={"0": "MRI", "1": "MRI"})
    assert find_cases(tmp_path, DataSettings()).channels == ("MRI_0", "MRI_1")


@pytest.mark.parametrize(
    ("written", "labels"),
    [
        ({"background": 0, "Core": 1, "rim": "2"}, {"core": 1, "rim": 2}),
        ({"whole": [1, 2], "core": 1}, {}),
        (None, {}),
        (["background", "core"], {}),
    ],
)
def test_labels_of_either_direction_are_read(tmp_path: Path, written: Any, labels: dict[str, int]) -> None:
    described(tmp_path, "a", labels=written)
    assert find_cases(tmp_path, DataSettings()).labels == labels


def test_msd_files_that_do_not_exist_are_lacking(tmp_path: Path) -> None:
    described(tmp_path, "a", "b", "c")
    (tmp_path / "imagesTr/a.nii.gz").unlink()
    (tmp_path / "labelsTr/b.nii.gz").unlink()
    whole = ({"image": "imagesTr/c.nii.gz"}, "labelsTr/c.nii.gz")
    assert summary(find_cases(tmp_path, DataSettings())) == {
        "a": ({}, "labelsTr/a.nii.gz"),
        "b": ({"image": "imagesTr/b.nii.gz"}, None),
        "c": whole,
    }


@pytest.mark.parametrize("path", ["../outside.nii.gz", "/etc/passwd", "imagesTr/../../outside.nii.gz", "."])
@pytest.mark.parametrize("key", ["image", "label"])
def test_paths_that_leave_the_root_are_refused(tmp_path: Path, key: str, path: str) -> None:
    touch(tmp_path, "outside.nii.gz", "data/a.nii.gz")
    pair = {"image": "a.nii.gz", "label": "a.nii.gz", key: path}
    (tmp_path / "data" / "dataset.json").write_text(json.dumps({"training": [pair]}))
    message = refusal(tmp_path / "data", DataSettings(), exit_code=1)
    assert message.startswith(f"dataset.json: names files below its own folder, got {path}; ")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("{", "is JSON"),
        ("[" * 100_000, "is JSON"),
        ("[]", "is a JSON object, got list"),
        ('{"training": ["a.nii.gz"]}', '"training" lists pairs'),
        ('{"training": [{"image": 3}]}', '"training" lists pairs'),
        ('{"training": {"image": "a"}}', '"training" lists pairs'),
        ('{"training": [{"image": "a.nii"}], "modality": {"1": "CT"}}', '"modality" numbers the channels from 0'),
        ('{"training": [{"image": "a.nii"}, {"image": "b/a.nii"}]}', "lists every image once, got a"),
    ],
)
def test_a_malformed_description_is_refused(tmp_path: Path, text: str, rule: str) -> None:
    (tmp_path / "dataset.json").write_text(text)
    assert refusal(tmp_path, DataSettings(), exit_code=1).startswith(f"dataset.json: {rule}")


@pytest.mark.parametrize(
    ("names", "channels"),
    [
        (("_flair", "_t1", "_t1ce", "_t2", "_seg"), ("flair", "t1", "t1ce", "t2")),
        (("-t2w", "-t2f", "-t1n", "-t1c", "-seg"), ("t2f", "t1n", "t1c", "t2w")),
        (("_T1", "_FLAIR", "_SEG"), ("flair", "t1")),
    ],
)
@pytest.mark.parametrize("above", ["", "HGG/"])
def test_brats_names_are_told_by_their_last_word(
    tmp_path: Path, names: tuple[str, ...], channels: tuple[str, ...], above: str
) -> None:
    for case in ("Case_002", "Case_001"):
        touch(tmp_path, *(f"{above}{case}/{case}{name}.nii.gz" for name in names), f"{above}{case}/._{case}_t1.nii.gz")
    touch(tmp_path, "survival.csv", ".hidden/a_t1.nii.gz")
    found = find_cases(tmp_path, DataSettings())
    assert (found.layout, found.channels) == ("brats", channels)
    assert [case.case for case in found.cases] == ["Case_001", "Case_002"]
    files = {name: f"{above}Case_001/Case_001{ending}.nii.gz" for name, ending in
             ((ending[1:].lower(), ending) for ending in names)}  # fmt: skip
    mask = files.pop("seg")
    assert summary(found)["Case_001"] == (files, mask)


def test_brats_channels_are_chosen_and_renamed(tmp_path: Path) -> None:
    touch(tmp_path, "A/A_flair.nii", "A/A_t1.nii", "A/A_t1ce.nii", "A/A_seg.nii")
    found = find_cases(tmp_path, DataSettings(channels={"contrast": "t1ce", "FLAIR": "flair"}))
    assert (found.layout, found.channels) == ("brats", ("contrast", "FLAIR"))
    assert summary(found) == {"A": ({"contrast": "A/A_t1ce.nii", "FLAIR": "A/A_flair.nii"}, "A/A_seg.nii")}


def test_a_case_that_lacks_files_is_still_a_case(tmp_path: Path) -> None:
    touch(tmp_path, "A/A_flair.nii", "A/A_t1.nii", "A/A_seg.nii", "B/B_flair.nii", "C/odd_name.nii")
    found = find_cases(tmp_path, DataSettings())
    assert found.channels == ("flair", "t1")
    assert summary(found)["B"] == ({"flair": "B/B_flair.nii"}, None)
    assert summary(found)["C"] == ({}, None)


def test_two_files_for_one_channel_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "A/A_t1.nii", "A/A_seg.nii", "B/B_t1.nii", "B/old_t1.nii.gz", "B/B_seg.nii")
    assert refusal(tmp_path, DataSettings()).startswith(
        "data.channels.t1: means one file of B, got B_t1.nii, old_t1.nii.gz; "
    )


def test_two_folders_of_one_name_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "HGG/A/A_t1.nii", "LGG/A/A_t1.nii")
    assert "every case has a folder name of its own, got A; " in refusal(tmp_path, DataSettings(), exit_code=1)


def test_images_and_labels_of_equal_names_are_pairs(tmp_path: Path) -> None:
    touch(tmp_path, "images/b.nii.gz", "images/a.nii", "labels/a.nii.gz", "labels/c.nii.gz", "images/notes.txt")
    found = find_cases(tmp_path, DataSettings())
    assert (found.layout, found.channels) == ("pairs", ("image",))
    assert summary(found) == {
        "a": ({"image": "images/a.nii"}, "labels/a.nii.gz"),
        "b": ({"image": "images/b.nii.gz"}, None),
        "c": ({}, "labels/c.nii.gz"),
    }
    assert find_cases(tmp_path, DataSettings(channels={"CT": "*"})).channels == ("CT",)
    assert "images/ holds one channel" in refusal(tmp_path, DataSettings(channels={"CT": "c*", "PET": "p*"}))
    touch(tmp_path, "images/a.nii.gz")
    assert "images/a.nii.gz: a case has one file, got a.nii too" in refusal(tmp_path, DataSettings(), exit_code=1)


def test_a_folder_per_case_with_named_channels_and_mask(tmp_path: Path) -> None:
    for case in ("P2", "P1"):
        touch(tmp_path, *(f"{case}/{name}.nii.gz" for name in ("PET_image", "CT_image", "PET_mask", "CT_mask")))
    settings = DataSettings(channels={"PET": "PET_image", "CT": "CT_im*"}, mask="PET_mask.nii.gz")
    found = find_cases(tmp_path, settings)
    assert (found.layout, found.channels) == ("pairs", ("PET", "CT"))
    files = {"PET": "P1/PET_image.nii.gz", "CT": "P1/CT_image.nii.gz"}
    assert summary(found)["P1"] == (files, "P1/PET_mask.nii.gz")
    wide = DataSettings(channels={"PET": "PET*"}, mask="CT_mask")
    assert refusal(tmp_path, wide).startswith("data.channels.PET: means one file of P1, got PET_image.nii.gz, PET_mask")
    wide = DataSettings(channels={"PET": "PET_image"}, mask="*mask")
    assert refusal(tmp_path, wide).startswith("data.mask: means one file of P1, got CT_mask.nii.gz, PET_mask.nii.gz")


def test_a_missing_root_is_a_wrong_setting(tmp_path: Path) -> None:
    message = refusal(tmp_path / "none", DataSettings())
    assert message.startswith(f"data.root: a folder that exists is needed, got {tmp_path / 'none'}; ")
    touch(tmp_path, "file")
    assert f"got {tmp_path / 'file'} (a file); " in refusal(tmp_path / "file", DataSettings())


@pytest.mark.parametrize("layout", ["auto", "brats", "pairs", "msd"])
def test_an_empty_root_is_a_wrong_setting(tmp_path: Path, layout: Any) -> None:
    message = refusal(tmp_path, DataSettings(layout=layout))
    assert message.startswith(("data.root: ", "data.layout: "))
    if layout == "auto":
        assert message.startswith("data.root: the folder fits a layout: msd (dataset.json")
        assert f"got {tmp_path}, an empty folder; " in message


def test_a_folder_that_fits_nothing_says_what_is_in_it(tmp_path: Path) -> None:
    touch(tmp_path, "scan1.nii.gz", "scan2.nii.gz", "a.txt", "b.txt")
    assert "with a.txt, b.txt, scan1.nii.gz and 1 more; " in refusal(tmp_path, DataSettings())


def test_two_layouts_that_fit_are_refused_until_one_is_set(tmp_path: Path) -> None:
    described(tmp_path, "a")
    touch(tmp_path, "images/x.nii", "labels/x.nii")
    message = refusal(tmp_path, DataSettings())
    assert message == "data.layout: the folder fits one layout, got msd and pairs; set data.layout to msd or pairs"
    assert [case.case for case in find_cases(tmp_path, DataSettings(layout="pairs")).cases] == ["x"]
    assert [case.case for case in find_cases(tmp_path, DataSettings(layout="msd")).cases] == ["a"]


def test_a_forced_layout_says_what_it_lacks(tmp_path: Path) -> None:
    touch(tmp_path, "A/one.nii")
    assert "layout msd has a dataset.json" in refusal(tmp_path, DataSettings(layout="msd"))
    message = refusal(tmp_path, DataSettings(layout="pairs", channels={"CT": "one"}))
    assert "got channels {'CT': 'one'} and mask None; set data.channels=" in message


def test_the_subject_is_found_in_the_case_name(tmp_path: Path) -> None:
    touch(tmp_path, "images/p01_left.nii", "images/p01_right.nii", "images/p02_left.nii", "labels/p01_left.nii")
    found = find_cases(tmp_path, DataSettings(subject=r"^(p\d+)_"))
    assert [case.subject for case in found.cases] == ["p01", "p01", "p02"]
    assert [case.subject for case in find_cases(tmp_path, DataSettings()).cases][:2] == ["p01_left", "p01_right"]
    assert "data.subject: is a regular expression" in refusal(tmp_path, DataSettings(subject="("))
    assert "has one group ( ) that holds the subject, got 0 groups" in refusal(tmp_path, DataSettings(subject="p"))
    assert "finds the subject in every case name" in refusal(tmp_path, DataSettings(subject="(x)"))


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


@pytest.mark.skipif(not (DATA / "sarcoma").is_dir(), reason="needs ../shared/data/sarcoma")
def test_the_sarcoma_folder_is_pairs() -> None:
    found = find_cases(DATA / "sarcoma", DataSettings(channels={"PET": "PET_image", "CT": "CT_image"}, mask="PET_mask"))
    assert (found.layout, len(found.cases)) == ("pairs", 34)
    assert all(len(case.channels) == 2 and case.mask for case in found.cases)
