"""nnU-Net's folders are told from the Decathlon's by the names of their files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from medseg.files.layouts.find import ChannelFile, DataSettings, find_cases
from tests.files.layouts.layout_trees import described, refusal, summary, touch, write


def raw(root: Path, cases: str, channels: int = 1, ending: str = ".nii.gz", **description: Any) -> Path:
    """Make a data set in nnU-Net's raw format."""
    for case in cases:
        touch(root, *(f"imagesTr/{case}_{number:04d}{ending}" for number in range(channels)))
        touch(root, f"labelsTr/{case}{ending}")
    return write(root, "dataset.json", description) if description else root


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha", ".nii"])
def test_version_2_names_channels_labels_and_the_ending(tmp_path: Path, ending: str) -> None:
    names = {"0": "CT", "1": "PET"}
    raw(tmp_path, "ba", 2, ending, channel_names=names, labels={"background": 0, "Tumour": 1}, file_ending=ending)
    touch(tmp_path, "imagesTr/a_0000.mhd", "labelsTr/a.mhd")
    found = find_cases(tmp_path, DataSettings())
    assert (found.layout, found.channels, found.labels) == ("nnunet", ("CT", "PET"), {"tumour": 1})
    files = {"CT": f"imagesTr/a_0000{ending}", "PET": f"imagesTr/a_0001{ending}"}
    assert summary(found) == {
        "a": (files, f"labelsTr/a{ending}"),
        "b": ({name: path.replace("/a", "/b") for name, path in files.items()}, f"labelsTr/b{ending}"),
    }
    assert {case.part for case in found.cases} == {None}


def test_names_are_enough(tmp_path: Path) -> None:
    found = find_cases(raw(tmp_path / "one", "ab"), DataSettings())
    assert (found.layout, found.channels, found.labels) == ("nnunet", ("image",), {})
    found = find_cases(raw(tmp_path / "two", "ab", 3), DataSettings(channels={"late": "2"}))
    assert [case.channels for case in found.cases] == [
        {"late": ChannelFile(Path(f"imagesTr/{case}_0002.nii.gz"))} for case in "ab"
    ]
    assert find_cases(tmp_path / "two", DataSettings()).channels == ("channel_0", "channel_1", "channel_2")


def test_version_1_has_training_pairs_without_the_number(tmp_path: Path) -> None:
    described(tmp_path, "a", "b", modality={"0": "T1", "1": "T2"}, labels={"0": "background", "1": "core"})
    for case in "ab":
        os.rename(tmp_path / f"imagesTr/{case}.nii.gz", tmp_path / f"imagesTr/{case}_0000.nii.gz")
        touch(tmp_path, f"imagesTr/{case}_0001.nii.gz")
    found = find_cases(tmp_path, DataSettings())
    assert (found.layout, found.channels, found.labels) == ("nnunet", ("T1", "T2"), {"core": 1})
    assert [case.case for case in found.cases] == ["a", "b"]


def test_decathlon_names_that_end_in_four_digits_stay_decathlon(tmp_path: Path) -> None:
    described(tmp_path, "case_0000", "case_0001")
    found = find_cases(tmp_path, DataSettings())
    assert (found.layout, [case.case for case in found.cases]) == ("msd", ["case_0000", "case_0001"])


def test_without_description_and_numbers_two_folders_are_pairs(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/case_0000.nii", "imagesTr/case_0001.nii", "labelsTr/case_0000.nii")
    assert find_cases(tmp_path, DataSettings()).layout == "pairs"


def test_what_a_case_lacks_is_left_out(tmp_path: Path) -> None:
    raw(tmp_path, "ab", 2)
    (tmp_path / "imagesTr/a_0001.nii.gz").unlink()
    (tmp_path / "labelsTr/b.nii.gz").unlink()
    touch(tmp_path, "labelsTr/c.nii.gz")
    found = summary(find_cases(tmp_path, DataSettings()))
    assert found["a"] == ({"channel_0": "imagesTr/a_0000.nii.gz"}, "labelsTr/a.nii.gz")
    assert found["b"][1] is None
    assert found["c"] == ({}, "labelsTr/c.nii.gz")


def test_test_cases_with_masks_are_held_out(tmp_path: Path) -> None:
    raw(tmp_path, "ab")
    touch(tmp_path, "imagesTs/t_0000.nii.gz")
    assert [case.case for case in find_cases(tmp_path, DataSettings()).cases] == ["a", "b"]
    touch(tmp_path, "labelsTs/t.nii.gz")
    parts = {case.case: case.part for case in find_cases(tmp_path, DataSettings()).cases}
    assert parts == {"a": None, "b": None, "t": "held_out"}


def test_version_2_may_list_files_anywhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "x.nii"
    dataset = {"one": {"images": ["../scans/x.nii", str(elsewhere)], "label": "../scans/m.nii"}, "two": {"images": []}}
    write(tmp_path / "set", "dataset.json", {"dataset": dataset, "channel_names": {"0": "CT", "1": "PET"}})
    assert summary(find_cases(tmp_path / "set", DataSettings())) == {
        "one": ({"CT": "../scans/x.nii", "PET": str(elsewhere)}, "../scans/m.nii"),
        "two": ({}, None),
    }


@pytest.mark.parametrize(
    ("description", "names", "message"),
    [
        ({"file_ending": ".png"}, (), 'dataset.json: "file_ending" is the ending of a scan, got .png; '),
        ({"file_ending": ".img"}, (), 'dataset.json: "file_ending" is the ending of a scan, got .img; '),
        ({"file_ending": 3}, (), 'dataset.json: "file_ending" is the ending of a scan, got 3; '),
        ({"channel_names": {"1": "CT"}}, (), "numbers the channels from 0, got {'1': 'CT'}; "),
        ({"channel_names": {"0": "CT"}}, ("a_0001.nii",), "not only CT, got channel 0001 of a; add its name"),
        ({"channel_names": {"0": "CT"}}, ("stray.nii",), "imagesTr/stray.nii: every image ends in the four digits"),
        ({"channel_names": {"0": "CT"}}, ("a_0000.mha",), "a case has one file, got a_0000.mha too; "),
        ({"dataset": {"one": {"images": "a"}}}, (), 'maps cases to {"images": [path, ...], "label": path}, got one'),
        ({"dataset": {"one": {"images": [3]}}}, (), "got one: {'images': [3]}; mend the file"),
        ({"dataset": ["one"]}, (), "got : ['one']; mend the file"),
        ({"dataset": {"one": {"images": ["a\0"]}}}, (), "dataset.json: a path is one line of text, got 'a\\x00'; "),
        ({"dataset": {"one": {"images": ["pipe"]}}}, (), "names files, and folders of DICOM slices, got pipe; "),
    ],
)  # fmt: skip
def test_wrong_descriptions_are_refused(
    tmp_path: Path, description: dict[str, Any], names: tuple[str, ...], message: str
) -> None:
    raw(tmp_path, "a", **description)
    touch(tmp_path / "imagesTr", *names)
    os.mkfifo(tmp_path / "pipe")
    assert message in refusal(tmp_path, exit_code=1)


def test_a_forced_layout_says_what_it_lacks(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii")
    assert "layout nnunet has a folder imagesTr, got none in" in refusal(tmp_path, DataSettings(layout="nnunet"))
    message = refusal(raw(tmp_path / "set", "a"), DataSettings(channels={"PET": "pet"}))
    assert message.startswith("data.channels.PET: is one of ['image'], got pet; ")
