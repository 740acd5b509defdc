"""Masks below a folder, named after their cases."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from medseg.files.layouts.masks import find_masks
from medseg.values.error import Refusal
from tests.files.layouts.layout_trees import touch


def paths(root: Path, suffix: str = "", *without: Path) -> dict[str, str]:
    found = find_masks(root, "truth", suffix, without).paths
    return {case: path.as_posix() for case, path in found.items()}


def test_masks_of_every_format_are_found_at_any_depth_sorted_by_case(tmp_path: Path) -> None:
    touch(tmp_path, "c.nrrd", "b/x/b.nii.gz", "b/a.mha", "d.hdr", "d.img", "notes.txt", ".hidden.nii", "s/summary.json")
    assert paths(tmp_path) == {"a": "b/a.mha", "b": "b/x/b.nii.gz", "c": "c.nrrd", "d": "d.hdr"}


def test_a_suffix_is_taken_off_and_what_lacks_it_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "a_pred.nii.gz", "a.nii.gz", "p1/_pred.nii", "p2/b_pred.nii", "_pred.nii")
    found = find_masks(tmp_path, "predictions", "_pred")
    assert {case: path.as_posix() for case, path in found.paths.items()} == {
        "a": "a_pred.nii.gz", "p1": "p1/_pred.nii", "b": "p2/b_pred.nii",
    }  # fmt: skip
    assert sorted(found.others) == ["_pred.nii", "a.nii.gz"]


def test_maps_beside_the_masks_are_no_masks_unless_they_are_asked_for(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "a.nii.gz",
        "a.probabilities.nii.gz",
        "a.uncertainty.nii.gz",
        "a.set-aside.nii.gz",
        "a.set-aside-2.nrrd",
    )
    assert paths(tmp_path) == {"a": "a.nii.gz"}
    assert paths(tmp_path, ".probabilities") == {"a": "a.probabilities.nii.gz"}


def test_folders_are_passed_over_and_entered_once(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.nii", "out/b.nii")
    (tmp_path / "in" / "back").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "twin").symlink_to(tmp_path / "in", target_is_directory=True)
    assert paths(tmp_path, "", (tmp_path / "out").resolve()) == {"a": "in/a.nii"}


def test_a_folder_of_slices_is_one_mask(tmp_path: Path) -> None:
    touch(tmp_path, "p1/1.dcm", "p1/2.dcm", "p2.dcm")
    assert paths(tmp_path) == {"p1": "p1", "p2": "p2.dcm"}


@pytest.mark.parametrize("names", [("a.nii", "a.nii.gz"), ("x/a.nrrd", "y/a.nrrd")])
def test_two_masks_of_a_case_are_refused_with_both_paths(tmp_path: Path, names: tuple[str, str]) -> None:
    touch(tmp_path, *names)
    with pytest.raises(Refusal, match="truth: a case has one mask, a too") as caught:
        find_masks(tmp_path, "truth")
    assert caught.value.exit_code == 2
    assert all(str(tmp_path / name) in str(caught.value) for name in names)


def test_only_a_folder_holds_masks(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii")
    for path, value in ((tmp_path / "a.nii", "(a file)"), (tmp_path / "none", "none")):
        with pytest.raises(Refusal, match="truth: a folder that exists is needed") as caught:
            find_masks(path, "truth")
        assert value in caught.value.value


def test_a_name_that_is_no_text_is_refused_under_the_setting(tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(tmp_path) + b"/\xff.nii")).touch()
    with pytest.raises(Refusal, match="predictions: names of scans and folders are UTF-8"):
        find_masks(tmp_path, "predictions")
