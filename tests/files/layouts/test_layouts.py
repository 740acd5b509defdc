"""The shape of a data set is told by what lies in its folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from medseg.files.layouts.find import ChannelFile, DataSettings, find_cases
from tests.files.layouts.layout_trees import described, refusal, summary, touch

DATA = Path(__file__).parents[4] / "shared" / "data"


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
        ({"whole": [1, 2], "core": 1}, {"label_2": 2, "core": 1}),
        ({"core": 1.5}, {}),
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
    touch(tmp_path, "file", "cases.csv")
    assert f"got {tmp_path / 'file'} (a file); " in refusal(tmp_path / "file", DataSettings())
    assert f"got {tmp_path / 'cases.csv'} (a file); " in refusal(tmp_path / "cases.csv", DataSettings(layout="msd"))


@pytest.mark.parametrize("layout", ["auto", "brats", "pairs", "msd", "nnunet", "bids", "csv"])
def test_an_empty_root_is_a_wrong_setting(tmp_path: Path, layout: Any) -> None:
    message = refusal(tmp_path, DataSettings(layout=layout))
    assert message.startswith(("data.root: ", "data.layout: "))
    if layout == "auto":
        assert message.startswith("data.root: the folder fits a layout: msd (dataset.json")
        assert f"got {tmp_path}, an empty folder; " in message


def test_a_folder_that_fits_nothing_says_what_is_in_it(tmp_path: Path) -> None:
    touch(tmp_path, "scan1.nii.gz", "scan2.nii.gz", "a.txt", "b.txt")
    assert "with a.txt, b.txt, scan1.nii.gz and 1 more; " in refusal(tmp_path, DataSettings())


def test_a_data_set_in_the_only_folder_or_around_the_folder_is_pointed_to(tmp_path: Path) -> None:
    touch(tmp_path, "unpacked/images/x.nii", "unpacked/labels/x.nii")
    inner = tmp_path / "unpacked"
    for named in (tmp_path, inner / "images"):
        assert refusal(named, DataSettings()).endswith(f"; set data.root to {inner}, which fits pairs")
    touch(tmp_path, "other/images/x.nii", "other/labels/x.nii")
    assert refusal(tmp_path, DataSettings()).endswith("list the scans in a table and set data.root=TABLE.csv")


@pytest.mark.parametrize(("name", "remedy"), [
    ("scans.zip", "unpack it, and set data.root to the folder that comes out"),
    ("scan.nii.gz", "set data.root to the data set's folder, or to a .csv file of its cases"),
    ("a\\b", "write the path with /, as Linux has it"),
])  # fmt: skip
def test_what_is_no_folder_is_refused_with_what_to_do_about_it(tmp_path: Path, name: str, remedy: str) -> None:
    touch(tmp_path, *([name] if "." in name else []))
    assert refusal(tmp_path / name, DataSettings()).endswith(f"; {remedy}")


def test_a_tilde_that_the_shell_left_alone_is_refused_as_such() -> None:
    assert refusal(Path("~/scans"), DataSettings()).endswith("; the shell puts nothing in place of ~ here: write $HOME")


def test_pairs_without_one_equal_name_are_refused_by_their_names(tmp_path: Path) -> None:
    touch(tmp_path, "images/x_image.nii", "images/y_image.nii", "labels/x_label.nii", "labels/y_label.nii")
    message = refusal(tmp_path, DataSettings())
    assert message.startswith("data.root: an image in images/ and its mask in labels/ have the same name, got x_image ")
    touch(tmp_path, "labels/y_image.nii")
    assert [case.case for case in find_cases(tmp_path, DataSettings()).cases if case.mask and case.channels] == [
        "y_image"
    ]


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


@pytest.mark.skipif(not (DATA / "sarcoma").is_dir(), reason="needs ../shared/data/sarcoma")
def test_the_sarcoma_folder_is_pairs() -> None:
    found = find_cases(DATA / "sarcoma", DataSettings(channels={"PET": "PET_image", "CT": "CT_image"}, mask="PET_mask"))
    assert (found.layout, len(found.cases)) == ("pairs", 34)
    assert all(len(case.channels) == 2 and case.mask for case in found.cases)


def test_the_two_generations_of_brats_names_are_the_same_channels(tmp_path: Path) -> None:
    for name in ("flair", "t1", "t1ce", "t2", "seg"):
        touch(tmp_path, f"A/A_{name}.nii.gz")
    for name in ("t2f", "t1n", "t1c", "t2w", "seg"):
        touch(tmp_path, f"B/B-{name}.nii.gz")
    found = find_cases(tmp_path, DataSettings())
    assert found.channels == ("flair", "t1", "t1ce", "t2")
    assert list(summary(found)["B"][0].values()) == [f"B/B-{name}.nii.gz" for name in ("t2f", "t1n", "t1c", "t2w")]
    contrast = find_cases(tmp_path, DataSettings(channels={"contrast": "t1c"}))
    assert [summary(contrast)[case][0]["contrast"] for case in "AB"] == ["A/A_t1ce.nii.gz", "B/B-t1c.nii.gz"]
    touch(tmp_path, "A/A-t2f.nii.gz")
    assert refusal(tmp_path).startswith("data.channels.flair: means one file of A, got A-t2f.nii.gz, A_flair.nii.gz; ")


def test_brats_knows_grades_and_repeated_scans(tmp_path: Path) -> None:
    touch(tmp_path, "set/HGG/A/A_t1.nii", "set/LGG/B/B_t1.nii")
    assert [case.group for case in find_cases(tmp_path, DataSettings()).cases] == ["HGG", "LGG"]
    assert [case.group for case in find_cases(tmp_path / "set/HGG", DataSettings()).cases] == [None]
    names = ("BraTS-GLI-00001-000", "BraTS-GLI-00001-001", "BraTS-MEN-RT-0003-1", "BraTS2021_00001")
    touch(tmp_path / "new", *(f"{name}/{name}-t1c.nii.gz" for name in names))
    subjects = [case.subject for case in find_cases(tmp_path / "new", DataSettings()).cases]
    assert subjects == ["BraTS-GLI-00001", "BraTS-GLI-00001", "BraTS-MEN-RT-0003", "BraTS2021_00001"]
    by_name = find_cases(tmp_path / "new", DataSettings(subject="(.+)"))
    assert [case.subject for case in by_name.cases] == list(names)


@pytest.mark.parametrize("folders", [("images", "labels"), ("images", "masks"), ("imagesTr", "labelsTr")])
def test_two_folders_go_by_several_names(tmp_path: Path, folders: tuple[str, str]) -> None:
    touch(tmp_path, f"{folders[0]}/a.nrrd", f"{folders[1]}/a.mha")
    found = find_cases(tmp_path, DataSettings(channels={"CT": "*"}, mask="*"))
    assert (found.layout, summary(found)) == ("pairs", {"a": ({"CT": f"{folders[0]}/a.nrrd"}, f"{folders[1]}/a.mha")})


def test_two_folders_of_masks_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.nii", "labels/a.nii", "masks/a.nii")
    message = refusal(tmp_path)
    assert "has one folder of images and one of masks, got images/ with labels/ and images/ with masks/; " in message


def test_one_stem_in_two_formats_is_refused_naming_both(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.mha", "images/a.nii", "labels/a.nii")
    assert "images/a.nii: a case has one file, got a.mha too; " in refusal(tmp_path, exit_code=1)
    touch(tmp_path / "brats", "A/A_t1.nii.gz", "A/A_t1.nrrd", "A/A_t2.nrrd")
    assert "means one file of A, got A_t1.nii.gz, A_t1.nrrd; " in refusal(tmp_path / "brats")


def test_a_header_and_its_voxels_are_one_scan(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.hdr", "images/a.img", "labels/a.hdr", "labels/a.img", "images/b.mhd", "images/b.raw")
    assert summary(find_cases(tmp_path, DataSettings())) == {
        "a": ({"image": "images/a.hdr"}, "labels/a.hdr"),
        "b": ({"image": "images/b.mhd"}, None),
    }


def dicom(folder: Path, ending: str = ".dcm") -> None:
    """Make a folder of files that look like DICOM."""
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"{number:03d}{ending}").write_bytes(bytes(128) + b"DICM" + bytes(8))


@pytest.mark.parametrize("ending", [".dcm", ".IMA", ""])
def test_dicom_folders_are_channels_and_masks(tmp_path: Path, ending: str) -> None:
    for case in ("P1", "P2"):
        dicom(tmp_path / "set" / case / "CT_series", ending)
        dicom(tmp_path / "set" / case / "other", ending)
    touch(tmp_path, "set/P1/seg.nii.gz")
    dicom(tmp_path / "set" / "P2" / "seg", ending)
    found = find_cases(tmp_path / "set", DataSettings(channels={"CT": "CT*", "PET": "PET*"}, mask="seg"))
    assert (found.layout, summary(found)) == (
        "pairs",
        {
            "P1": ({"CT": "P1/CT_series"}, "P1/seg.nii.gz"),
            "P2": ({"CT": "P2/CT_series"}, "P2/seg"),
        },
    )
    dicom(tmp_path / "two" / "images" / "A", ending)
    touch(tmp_path, "two/labels/A.dcm")
    assert summary(find_cases(tmp_path / "two", DataSettings())) == {"A": ({"image": "images/A"}, "labels/A.dcm")}


def test_what_is_linked_elsewhere_is_found_and_broken_links_are_not_lacking(tmp_path: Path) -> None:
    touch(tmp_path, "store/one", "set/images/note.txt")
    (tmp_path / "set/images/a.nii").symlink_to(tmp_path / "store/one")
    (tmp_path / "set/images/b.nii").symlink_to(tmp_path / "store/gone")
    (tmp_path / "set/images/self.nii").symlink_to(tmp_path / "set/images/self.nii")
    (tmp_path / "set/labels").symlink_to(tmp_path / "set/images")
    found = summary(find_cases(tmp_path / "set", DataSettings()))
    assert found["b"] == ({"image": "images/b.nii"}, "labels/b.nii")
    assert list(found) == ["a", "b", "self"]


def test_pipes_are_no_scans(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.nii", "labels/a.nii")
    os.mkfifo(tmp_path / "images/b.nii")
    assert list(summary(find_cases(tmp_path, DataSettings()))) == ["a"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\\b", "'a\\\\b'"),
        ("a\tb", "'a\\tb'"),
        ("x" * 201, repr("x" * 201)[:80]),
        ("\u0436" * 101, ascii("\u0436" * 101)[:80]),
        ("gn\u202eii", "'gn\\u202eii'"),
    ],
)
def test_names_that_name_no_file_everywhere_are_refused(tmp_path: Path, name: str, shown: str) -> None:
    touch(tmp_path, f"images/{name}.nii", f"labels/{name}.nii")
    rule = "a case name is a file name: at most 200 bytes, no / or \\, no dot in front, no mark that turns text"
    assert f"data.root: {rule}, got {shown}; rename the case" in refusal(tmp_path, exit_code=1)


def test_names_that_differ_only_in_case_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "images/Anna.nii", "images/anna.nii", "labels/Anna.nii")
    assert "stands for one case, got Anna and anna; " in refusal(tmp_path, exit_code=1)


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.nii", "labels/a.nii")
    with open(os.fsencode(tmp_path / "images") + b"/\xff.nii", "wb"):
        pass
    assert "names of scans and folders are UTF-8, got '" in refusal(tmp_path, exit_code=1)


def test_a_mask_is_not_named_where_the_layout_names_it(tmp_path: Path) -> None:
    described(tmp_path, "a")
    message = refusal(tmp_path, DataSettings(layout="msd", mask="seg"))
    assert message.startswith("data.mask: is not set for the layout msd, which says itself where masks are, got seg; ")


def test_one_label_named_twice_is_refused(tmp_path: Path) -> None:
    described(tmp_path, "a", labels={"Core": 1, "core": 2})
    assert '"labels" has every name once, in upper or lower case, got core; ' in refusal(tmp_path, exit_code=1)


def test_a_huge_description_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "dataset.json").open("wb") as file:
        file.truncate(1 << 36)
    assert f"dataset.json: has at most 64 MiB, got {1 << 36} bytes; " in refusal(tmp_path, exit_code=1)
