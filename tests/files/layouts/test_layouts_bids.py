"""In BIDS the names say what a file is; whose it is, its folders and its name must say alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from medseg.files.layouts.find import DataSettings, find_cases
from tests.files.layouts.layout_trees import refusal, summary, touch, write


def session(root: Path, *entities: str, images: tuple[str, ...] = ("T1w",), masks: tuple[str, ...] = ("dseg",)) -> str:
    """Make the files of a subject or session, and masks derived from it; return the start of their names."""
    place, case = "/".join(entities), "_".join(entities)
    touch(root, *(f"{place}/anat/{case}_{image}.nii.gz" for image in images))
    touch(root, *(f"derivatives/lesions/{place}/anat/{case}_{mask}.nii.gz" for mask in masks))
    return f"{place}/anat/{case}"


def test_sessions_are_cases_and_subjects_are_subjects(tmp_path: Path) -> None:
    session(tmp_path, "sub-02", images=("FLAIR", "T1w"))
    session(tmp_path, "sub-01", "ses-b", images=("T1w", "FLAIR", "defacemask"))
    session(tmp_path, "sub-01", "ses-a", images=("T1w",), masks=())
    touch(tmp_path, "sub-02/func/sub-02_bold.nii.gz", "sub-03/func/sub-03_bold.nii.gz", "sub-02/anat/sub-02_T1w.json")
    touch(tmp_path, "dataset_description.json", "README", "sourcedata/sub-01/x.nii", "code/a.py")
    found = find_cases(tmp_path, DataSettings())
    assert (found.layout, found.channels) == ("bids", ("FLAIR", "T1w"))
    assert [(case.case, case.subject) for case in found.cases] == [
        ("sub-01_ses-a", "sub-01"),
        ("sub-01_ses-b", "sub-01"),
        ("sub-02", "sub-02"),
    ]
    start = "sub-01/ses-b/anat/sub-01_ses-b"
    mask = f"derivatives/lesions/{start}_dseg.nii.gz"
    assert summary(found)["sub-01_ses-b"] == ({"FLAIR": f"{start}_FLAIR.nii.gz", "T1w": f"{start}_T1w.nii.gz"}, mask)
    assert summary(found)["sub-01_ses-a"] == ({"T1w": "sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz"}, None)


def test_images_of_several_kinds_and_formats(tmp_path: Path) -> None:
    touch(tmp_path, "sub-1/pet/sub-1_trc-FDG_pet.nii.gz", "sub-1/ct/sub-1_ct.nrrd", "sub-1/anat/sub-1_T2w.nii")
    assert find_cases(tmp_path, DataSettings()).channels == ("T2w", "ct", "pet")


@pytest.mark.parametrize(
    ("pattern", "chosen"),
    [
        ("T1w", "T1w"),
        ("ce-*_T1w", "ce-gad_acq-3d_T1w"),
        ("ce-gad_T1w", "ce-gad_acq-3d_T1w"),
        ("acq-3d", "ce-gad_acq-3d_T1w"),
        ("sub-*_T2w.nii.gz", "T2w"),
    ],
)
def test_channels_are_patterns_on_the_parts_of_a_name(tmp_path: Path, pattern: str, chosen: str) -> None:
    start = session(tmp_path, "sub-01", images=("T1w", "ce-gad_acq-3d_T1w", "T2w"))
    found = find_cases(tmp_path, DataSettings(channels={"one": pattern}))
    assert summary(found)["sub-01"][0] == {"one": f"{start}_{chosen}.nii.gz"}


def test_two_images_for_one_channel_are_refused_naming_both(tmp_path: Path) -> None:
    start = session(tmp_path, "sub-01", images=("T1w", "ce-gad_T1w"))
    both = f"{start}_T1w.nii.gz and {start}_ce-gad_T1w.nii.gz; give a narrower pattern, like T1w"
    for settings, name in ((DataSettings(), "T1w"), (DataSettings(channels={"x": "sub-*_T1w"}), "x")):
        assert refusal(tmp_path, settings) == f"data.channels.{name}: means one file of sub-01, got {both}"


@pytest.mark.parametrize("mask", ["dseg", "label-tumour_mask", "T1w_seg", "desc-lesion", "space-T1w_roi"])
def test_masks_are_known_by_their_names(tmp_path: Path, mask: str) -> None:
    start = session(tmp_path, "sub-01", masks=(mask, "desc-brain_mask", "label-GM_probseg", "desc-preproc_T1w"))
    assert summary(find_cases(tmp_path, DataSettings()))["sub-01"][1] == f"derivatives/lesions/{start}_{mask}.nii.gz"


def test_a_mask_of_the_brain_is_not_taken_for_the_tumour(tmp_path: Path) -> None:
    start = session(tmp_path, "sub-01", masks=("desc-brain_mask",))
    assert summary(find_cases(tmp_path, DataSettings()))["sub-01"][1] is None
    asked = find_cases(tmp_path, DataSettings(mask="desc-brain_mask"))
    assert summary(asked)["sub-01"][1] == f"derivatives/lesions/{start}_desc-brain_mask.nii.gz"


def test_two_masks_are_refused_until_one_is_chosen(tmp_path: Path) -> None:
    start = session(tmp_path, "sub-01", masks=("label-core_mask", "label-whole_mask"))
    message = refusal(tmp_path)
    assert message.startswith("data.mask: means one file of sub-01, got ")
    assert all(f"derivatives/lesions/{start}_label-{name}_mask.nii.gz" in message for name in ("core", "whole"))
    found = find_cases(tmp_path, DataSettings(mask="label-core_mask"))
    assert summary(found)["sub-01"][1] == f"derivatives/lesions/{start}_label-core_mask.nii.gz"


def test_one_of_two_raters_is_chosen_by_folder(tmp_path: Path) -> None:
    start = session(tmp_path, "sub-01")
    touch(tmp_path, f"derivatives/rater2/{start}_dseg.nii.gz")
    message = refusal(tmp_path)
    assert f"derivatives/lesions/{start}_dseg.nii.gz and derivatives/rater2/{start}_dseg.nii.gz" in message
    assert message.endswith("like lesions/dseg")
    found = find_cases(tmp_path, DataSettings(mask="rater2/dseg"))
    assert summary(found)["sub-01"][1] == f"derivatives/rater2/{start}_dseg.nii.gz"


def test_masks_beside_the_scans_and_without_pipeline_are_found(tmp_path: Path) -> None:
    start = session(tmp_path, "sub-01", masks=())
    touch(tmp_path, f"{start}_dseg.nii.gz", "derivatives/sub-02/sub-02_dseg.nii.gz")
    session(tmp_path, "sub-02", masks=())
    found = find_cases(tmp_path, DataSettings())
    assert found.channels == ("T1w",)
    masks = [case.mask.as_posix() for case in found.cases if case.mask]
    assert masks == [f"{start}_dseg.nii.gz", "derivatives/sub-02/sub-02_dseg.nii.gz"]


def test_a_mask_without_session_belongs_to_the_only_one(tmp_path: Path) -> None:
    session(tmp_path, "sub-01", "ses-a", masks=())
    touch(tmp_path, "derivatives/x/sub-01/sub-01_dseg.nii.gz")
    assert find_cases(tmp_path, DataSettings()).cases[0].mask is not None
    session(tmp_path, "sub-01", "ses-b", masks=())
    assert [case.mask for case in find_cases(tmp_path, DataSettings()).cases] == [None, None]
    touch(tmp_path, "derivatives/x/sub-01/sub-01_ses-b_dseg.nii.gz")
    masks = [case.mask is not None for case in find_cases(tmp_path, DataSettings()).cases]
    assert masks == [False, True]


@pytest.mark.parametrize(
    ("path", "folder", "named"),
    [
        ("sub-01/anat/sub-02_T2w.nii", "sub-01", "sub-02"),
        ("sub-01/ses-a/anat/sub-01_ses-b_T2w.nii", "ses-a", "ses-b"),
        ("derivatives/x/sub-01/sub-02_dseg.nii", "sub-01", "sub-02"),
    ],
)
def test_a_file_in_another_ones_folder_is_refused(tmp_path: Path, path: str, folder: str, named: str) -> None:
    session(tmp_path, "sub-01")
    touch(tmp_path, path)
    assert refusal(tmp_path, exit_code=1).startswith(
        f"{path}: a file is named after its folder {folder}, got {named}; "
    )


def test_participants_have_sites_and_groups(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        session(tmp_path, f"sub-0{number}", "ses-a")
    table = "participant_id\tage\tsite\tgroup\tScanner\nsub-01\t40\tOslo\tpatient\tA\n02\tn/a\tBonn\tn/a\tB\n"
    write(tmp_path, "participants.tsv", table)
    found = find_cases(tmp_path, DataSettings())
    assert [(case.subject, case.site, case.group) for case in found.cases] == [
        ("sub-01", "Oslo", "patient"),
        ("sub-02", "Bonn", None),
        ("sub-03", None, None),
    ]
    by_scanner = find_cases(tmp_path, DataSettings(site="scanner", subject="^(sub-0)"))
    assert [(case.subject, case.site) for case in by_scanner.cases] == [
        ("sub-0", "A"),
        ("sub-0", "B"),
        ("sub-0", None),
    ]
    message = refusal(tmp_path, DataSettings(site="hospital"))
    assert message.endswith("mark it with ( ), or name a column: participant_id, age, site, group, scanner")
    write(tmp_path, "participants.tsv", "subject\tage\n01\t4\n")
    assert refusal(tmp_path, exit_code=1).startswith(
        "participants.tsv line 1: has a column participant_id, got subject"
    )


def test_a_participant_has_one_row(tmp_path: Path) -> None:
    session(tmp_path, "sub-01")
    write(tmp_path, "participants.tsv", "participant_id\tsite\nsub-01\tOslo\n01\tBonn\n")
    message = refusal(tmp_path, exit_code=1)
    assert message.startswith("participants.tsv line 3: every participant has one row, got sub-01; ")


def test_one_image_in_two_formats_is_refused(tmp_path: Path) -> None:
    start = session(tmp_path, "sub-01")
    touch(tmp_path, f"{start}_T1w.nrrd")
    both = f"{start}_T1w.nii.gz and {start}_T1w.nrrd; rename or remove one of them"
    assert refusal(tmp_path) == f"data.channels.T1w: means one file of sub-01, got {both}"


def test_bids_is_neither_brats_nor_pairs(tmp_path: Path) -> None:
    session(tmp_path, "sub-01", images=("FLAIR", "T2w"), masks=("seg",))
    assert find_cases(tmp_path, DataSettings()).layout == "bids"
    patterns = DataSettings(channels={"one": "*FLAIR"}, mask="*seg")
    assert find_cases(tmp_path, patterns).layout == "bids"


def test_a_brats_folder_may_be_called_sub(tmp_path: Path) -> None:
    touch(tmp_path, "sub-01/sub-01_flair.nii.gz", "sub-01/sub-01_seg.nii.gz")
    assert find_cases(tmp_path, DataSettings()).layout == "brats"
