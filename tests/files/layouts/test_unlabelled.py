"""New scans in every shape: loose files, DICOM folders, folders per case, and data sets whose masks are passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from medseg.files.layouts.unlabelled import ScanSettings, find_scans, passed_over
from medseg.values.error import Refusal
from tests.files.layouts.layout_trees import touch, write

Files = dict[str, dict[str, str]]


def found(root: Path, *names: str, **settings: object) -> Files:
    """Return the files of each case by channel."""
    scans = find_scans(root, ScanSettings.model_validate(settings), names or ("image",), root / "out")
    assert all(case.mask is None for case in scans.cases)
    return {case.case: {name: file.path.as_posix() for name, file in case.channels.items()} for case in scans.cases}


def refused(root: Path, *names: str, **settings: object) -> str:
    with pytest.raises(Refusal) as caught:
        found(root, *names, **settings)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_every_file_of_a_flat_folder_is_a_case(tmp_path: Path) -> None:
    touch(tmp_path, "b.nii.gz", "a.nrrd", "notes.txt", ".hidden.nii.gz")
    assert found(tmp_path) == {"a": {"image": "a.nrrd"}, "b": {"image": "b.nii.gz"}}


@pytest.mark.parametrize("name", ["A", "scan"])
def test_two_files_of_one_name_are_refused_however_short_it_is(tmp_path: Path, name: str) -> None:
    touch(tmp_path, f"{name}.nii.gz", f"{name}.nrrd")
    with pytest.raises(Refusal, match=f"case names differ .* got {name} and {name}; rename one of them"):
        found(tmp_path)


def test_what_belongs_to_no_case_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "p1_PET.nii.gz", "p2_pet.nii.gz", "notes.txt", "more/p3.nii.gz", "deep/er/p4.nii.gz", "out/p1.nii")
    (tmp_path / "empty").mkdir()

    def left(images: Path, **settings: object) -> tuple[str, ...]:
        out = tmp_path / "out"
        scans = find_scans(images, ScanSettings.model_validate(settings), ("PET",), out)
        return passed_over(images, scans, out)

    assert left(tmp_path, channels={"PET": "*_PET"}) == ("deep/er", "more", "p2_pet.nii.gz")
    assert left(tmp_path) == ("deep/er", "more")
    assert left(tmp_path / "deep") == ()
    assert left(tmp_path / "p1_PET.nii.gz") == ()
    touch(tmp_path / "set", "imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz", "imagesTs/b_0000.nii.gz")
    assert left(tmp_path / "set") == ("imagesTs",)


def test_the_folder_of_the_masks_is_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "p1/scan.nii.gz", "out/p1.nii.gz")
    assert found(tmp_path) == {"p1": {"image": "p1/scan.nii.gz"}}


def test_one_file_is_a_case_and_several_channels_are_its_volumes(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii.gz", "b.nii.gz")
    assert found(tmp_path / "a.nii.gz") == {"a": {"image": "a.nii.gz"}}
    (case,) = find_scans(tmp_path / "a.nii.gz", ScanSettings(), ("T1", "T2"), tmp_path / "out").cases
    assert {name: (file.component, file.volumes) for name, file in case.channels.items()} == {
        "T1": (0, 2),
        "T2": (1, 2),
    }


def test_four_digits_are_channels_where_one_file_has_the_number_0000(tmp_path: Path) -> None:
    touch(tmp_path, "p1_0000.nii.gz", "p1_0001.nii.gz", "p2_0000.nii.gz", "odd.nii.gz")
    assert found(tmp_path, "T1", "T2") == {
        "odd": {"T1": "odd.nii.gz", "T2": "odd.nii.gz"},
        "p1": {"T1": "p1_0000.nii.gz", "T2": "p1_0001.nii.gz"},
        "p2": {"T1": "p2_0000.nii.gz"},
    }
    assert found(tmp_path / "p1_0000.nii.gz", "T1", "T2") == {"p1": {"T1": "p1_0000.nii.gz", "T2": "p1_0001.nii.gz"}}


def test_years_are_no_channels(tmp_path: Path) -> None:
    touch(tmp_path, "scan_2020.nii.gz", "scan_2021.nii.gz")
    assert list(found(tmp_path)) == ["scan_2020", "scan_2021"]


def test_more_numbers_than_channels_are_not_guessed_at(tmp_path: Path) -> None:
    touch(tmp_path, "p1_0000.nii.gz", "p1_0001.nii.gz")
    assert found(tmp_path, "T2") == {"p1": {"channel_0": "p1_0000.nii.gz", "channel_1": "p1_0001.nii.gz"}}


def test_patterns_join_files_of_a_flat_folder(tmp_path: Path) -> None:
    touch(tmp_path, "p1_PET.nii.gz", "p1_CT.nii.gz", "p2_PET.nii.gz", "p2_MR.nii.gz")
    assert found(tmp_path, "CT", "PET", channels={"PET": "*_PET", "CT": "*_CT"}) == {
        "p1": {"PET": "p1_PET.nii.gz", "CT": "p1_CT.nii.gz"},
        "p2": {"PET": "p2_PET.nii.gz"},
    }
    message = refused(tmp_path, "PET", channels={"PET": "p1_PET"})
    assert "data.channels.PET: is a pattern whose one * stands for the case" in message
    assert "write it like '*_PET'" in message


def test_a_folder_per_case_by_names_or_patterns(tmp_path: Path) -> None:
    touch(tmp_path, "p1/p1_T1.nii.gz", "p1/p1_CE_T1.nii.gz", "p2/T1.nii.gz", "p2/other.nii.gz")
    assert found(tmp_path, "T1", "CE_T1") == {
        "p1": {"T1": "p1/p1_T1.nii.gz", "CE_T1": "p1/p1_CE_T1.nii.gz"},
        "p2": {"T1": "p2/T1.nii.gz", "other": "p2/other.nii.gz"},
    }
    assert found(tmp_path, "T1", channels={"T1": "other"}) == {"p1": {}, "p2": {"T1": "p2/other.nii.gz"}}


def test_folders_of_dicom_slices_are_scans(tmp_path: Path) -> None:
    touch(tmp_path, "s1/1.dcm", "s1/2.dcm", "s2/1.dcm", "s2/2.dcm")
    assert found(tmp_path) == {"s1": {"image": "s1"}, "s2": {"image": "s2"}}
    assert found(tmp_path / "s1") == {"s1": {"image": "."}}


def test_masks_of_data_sets_are_passed_over_and_not_needed(tmp_path: Path) -> None:
    touch(tmp_path / "pairs", "images/a.nii.gz", "images/b.nii.gz", "labels/a.nii.gz", "labels/c.nii.gz")
    assert found(tmp_path / "pairs") == {"a": {"image": "images/a.nii.gz"}, "b": {"image": "images/b.nii.gz"}}
    touch(tmp_path / "nnunet", "imagesTr/a_0000.nii.gz")
    assert found(tmp_path / "nnunet", "T1") == {"a": {"T1": "imagesTr/a_0000.nii.gz"}}
    write(tmp_path, "list.csv", "case,flair,site\na,scans/a.nii.gz,Oslo\n")
    assert found(tmp_path / "list.csv", "FLAIR") == {"a": {"FLAIR": "scans/a.nii.gz"}}


def test_both_generations_of_brats_names_are_the_channels_of_a_model(tmp_path: Path) -> None:
    touch(tmp_path, "c1/c1-t2f.nii.gz", "c1/c1-t1c.nii.gz", "c1/c1-seg.nii.gz")
    assert found(tmp_path, "flair", "t1ce") == {"c1": {"flair": "c1/c1-t2f.nii.gz", "t1ce": "c1/c1-t1c.nii.gz"}}
    assert found(tmp_path, "t1c")["c1"]["t1c"] == "c1/c1-t1c.nii.gz"


def test_channels_that_are_named_otherwise_are_not_taken_for_those_of_the_model(tmp_path: Path) -> None:
    touch(tmp_path, "sub-01/anat/sub-01_T1w.nii.gz")
    assert found(tmp_path, "FLAIR") == {"sub-01": {"T1w": "sub-01/anat/sub-01_T1w.nii.gz"}}
    assert found(tmp_path, "image") == {"sub-01": {"image": "sub-01/anat/sub-01_T1w.nii.gz"}}, "its only one"
    assert found(tmp_path, "FLAIR", channels={"FLAIR": "T1w"})["sub-01"] == {"FLAIR": "sub-01/anat/sub-01_T1w.nii.gz"}


def test_wrong_places_are_refused_by_the_name_of_the_setting(tmp_path: Path) -> None:
    touch(tmp_path, "empty/notes.txt", "scan.nii.gz")
    assert refused(tmp_path / "nowhere").startswith(
        "images: a scan, a folder of scans or a table that exists is needed"
    )
    assert refused(tmp_path / "empty").startswith("images: holds scans, got ")
    assert refused(tmp_path, "PET", channels={"CT": "*"}).startswith("data.channels.CT: is one of PET, got CT")
    assert "data.root" not in refused(tmp_path, layout="bids")
