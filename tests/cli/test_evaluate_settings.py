"""What `medseg evaluate` is told about names, labels, people and places, and what it refuses."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.evaluate_data import (
    SHAPE,
    content,
    evaluate,
    make_sides,
    mask,
    moved,
    refused,
    rows,
    run,
    save,
)


def regions_of(out: Path) -> list[str]:
    return list(dict.fromkeys(region for _, region in rows(out)))


@pytest.mark.parametrize("lacking", ["predictions", "truth", "out"])
def test_the_three_folders_are_needed(tmp_path: Path, lacking: str) -> None:
    make_sides(tmp_path, 1)
    words = [f"{name}={tmp_path / name}" for name in ("predictions", "truth", "out") if name != lacking]
    code, _, errors = run(*words)
    assert code == 2
    assert f"error: {lacking}: a path is needed, got none; add {lacking}=PATH, see medseg evaluate --help" in errors


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("lesion=glioma", "lesion: unknown setting, got 'lesion'; did you mean 'lesions'?"),
        ("empty=two", "empty: must be 'undefined', 'one' or 'zero', got \"two\""),
        ("labels={3: 400}", "labels: numbers of masks are from 0 to 255, got 3: 400"),
        ("regions={all: [1]}", "regions.all: no region has the name of a report row, got all; rename it"),
        ("regions={core: []}", "regions.core: a region joins labels of [1], got []"),
        ("tumour=core", "tumour: the tumour is one of the regions ['label_1'], got core; name one of them"),
        ("nsd_tolerance_mm={core: 2}", "nsd_tolerance_mm.core: a tolerance belongs to one of the regions"),
        ("data.repair=[resample_mask]", "data.repair: names what is mended while reading, got resample_mask; grid=res"),
        ("labels={1: 4}", "labels: a number of the predictions becomes one of the truth, [0, 1], got 1: 4"),
        ("suffix=_pred", "predictions: holds masks with names that end in _pred, got none, but p0.nii.gz"),
        ("truth_suffix=_gt", "truth_suffix: names of true masks end in _gt, got none of 2, like p0.nii.gz"),
        ("data.mask=seg", "data.mask: is set for a data set in a layout, got seg; set data.layout, or truth_suffix"),
        ("data.layout=nnunet", "data.layout: layout nnunet has a folder imagesTr, got none in "),
        ("subjects=nowhere.csv", "subjects: is a table that can be read, got nowhere.csv"),
        ("cases=nowhere.txt", "cases: is a text file in UTF-8, got nowhere.txt"),
        ("images=nowhere", "images: a scan, a folder of scans or a table that exists is needed, got nowhere"),
        ("probabilities=nowhere", "probabilities: a folder that exists is needed, got nowhere"),
        ("truth=nowhere", "truth: a folder that exists is needed, got nowhere"),
        ("predictions=nowhere", "predictions: a folder that exists is needed, got nowhere"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(tmp_path: Path, word: str, message: str) -> None:
    make_sides(tmp_path, 2)
    assert refused(tmp_path, word).startswith(message)


def test_sweeps_and_folders_of_settings_are_refused() -> None:
    for word in ("-m", "--config-dir=conf"):
        code, _, errors = run(word)
        assert code == 2
        assert "error: evaluate: masks are evaluated by the settings on the command line" in errors


def test_regions_may_overlap_and_name_labels_that_no_mask_holds(tmp_path: Path) -> None:
    make_sides(tmp_path, 2, 1, 2)
    code, _, errors = evaluate(tmp_path, "regions={lesion: 1, whole: [1, 2], rest: [3]}", "tumour=whole")
    assert code == 0, errors
    assert regions_of(tmp_path / "out") == ["lesion", "whole", "rest", "healthy", "all"]
    row = rows(tmp_path / "out")["p0", "rest"]
    assert (row["dice"], row["volume_truth_ml"]) == (None, 0.0)
    assert content(tmp_path / "out" / "summary.json")["tumour"] == "whole"


@pytest.mark.parametrize(
    ("name", "text", "regions"),
    [
        ("truth/labels.json", '{"Core": 1, "oedema": 2}', ["core", "oedema", "foreground"]),
        ("truth/labels.json", '{"labels": {"1": "core", "2": "tumour"}}', ["core", "tumour"]),
        ("dataset.json", '{"labels": {"background": 0, "core": 1, "whole": [1, 2]}}', ["core", "whole", "foreground"]),
    ],
)
def test_labels_are_called_as_a_file_beside_the_truth_says(
    tmp_path: Path, name: str, text: str, regions: list[str]
) -> None:
    make_sides(tmp_path, 1, 1, 2)
    (tmp_path / name).write_text(text, encoding="utf-8")
    code, _, errors = evaluate(tmp_path)
    assert code == 0, errors
    assert regions_of(tmp_path / "out") == [*regions, "healthy", "all"]


def test_a_file_of_label_names_that_is_none_is_refused(tmp_path: Path) -> None:
    make_sides(tmp_path, 1)
    (tmp_path / "truth" / "labels.json").write_text('["core"]', encoding="utf-8")
    assert 'is a JSON object like {"core": 1, "oedema": 2}, got ["core"]' in refused(tmp_path, code=1)


def test_truths_without_any_label_need_a_name_for_what_was_looked_for(tmp_path: Path) -> None:
    for side in ("truth", "predictions"):
        save(tmp_path / side / "p.nii.gz", np.zeros(SHAPE, np.uint8))
    message = "truth: holds a label somewhere, or labels have names, got nothing but background"
    assert refused(tmp_path).startswith(message)
    assert evaluate(tmp_path, "data.labels={tumour: 1}")[0] == 0
    assert rows(tmp_path / "out")["p", "tumour"]["cohort"] == "healthy"


def test_another_coding_of_labels_is_refused_in_both_directions_and_can_be_translated(tmp_path: Path) -> None:
    for number in range(3):
        truth = mask(number, 1, 2, 4)
        save(tmp_path / "truth" / f"p{number}.nii.gz", truth)
        save(tmp_path / "predictions" / f"p{number}.nii.gz", np.where(truth == 4, 3, truth).astype(np.uint8))
    told = refused(tmp_path)
    assert told.startswith(
        "labels: predictions hold the labels of the truth, [0, 1, 2, 4], got 3 in 3 of 3 predictions"
    )
    assert "where a 3 of the predictions is a 4 of the truth, set labels='{3: 4}'" in told
    assert "on the left the prediction's number, on the right the truth's" in told
    assert "labels='{3: 0}' where it is background" in told
    other = refused(tmp_path, "labels={4: 3}")
    assert "becomes one of the truth, [0, 1, 2, 4], got 4: 3" in other
    assert "the other way round it is labels='{3: 4}'" in other
    code, _, errors = evaluate(tmp_path, "labels={3: 4}")
    assert code == 0, errors
    assert {rows(tmp_path / "out")[f"p{number}", "label_4"]["dice"] for number in range(3)} == {1.0}
    assert evaluate(tmp_path, "labels={3: 0}", out="without")[0] == 0
    assert rows(tmp_path / "without")["p0", "label_4"]["dice"] == 0.0


def test_labels_can_be_exchanged(tmp_path: Path) -> None:
    truth = mask(1, 1, 2)
    save(tmp_path / "truth" / "p.nii.gz", truth)
    save(tmp_path / "predictions" / "p.nii.gz", np.array([0, 2, 1], np.uint8)[truth])
    assert evaluate(tmp_path)[0] == 0
    assert rows(tmp_path / "out")["p", "label_1"]["dice"] == 0.0
    assert evaluate(tmp_path, "labels={1: 2, 2: 1}", out="exchanged")[0] == 0
    assert rows(tmp_path / "exchanged")["p", "label_1"]["dice"] == 1.0


def test_voxels_that_nobody_annotated_count_nowhere(tmp_path: Path) -> None:
    truth = mask(1, 1)
    guess = moved(truth)
    truth[guess != truth] = 9
    save(tmp_path / "truth" / "p.nii.gz", truth)
    save(tmp_path / "predictions" / "p.nii.gz", guess)
    assert evaluate(tmp_path, "data.ignore=9")[0] == 0
    row = rows(tmp_path / "out")["p", "label_1"]
    assert (row["dice"], row["precision"], row["sensitivity"]) == (1.0, 1.0, 1.0)


def test_ends_of_names_that_are_not_the_case_are_taken_off(tmp_path: Path) -> None:
    truth = mask(1, 1)
    save(tmp_path / "truth" / "a-seg.nii.gz", truth)
    save(tmp_path / "truth" / "group" / "b-seg.nii.gz", truth)
    save(tmp_path / "predictions" / "x" / "a_pred.nii.gz", truth)
    save(tmp_path / "predictions" / "b_pred.nii.gz", truth)
    save(tmp_path / "predictions" / "b_raw.nii.gz", truth)
    code, _, errors = evaluate(tmp_path, "suffix=_pred", "truth_suffix=-seg")
    assert code == 0, errors
    assert [case for case, region in rows(tmp_path / "out") if region == "label_1"] == ["a", "b"]


def test_files_that_are_all_called_alike_are_named_after_their_folders(tmp_path: Path) -> None:
    for case in ("a", "b"):
        save(tmp_path / "truth" / case / "seg.nii.gz", mask(1, 1))
        save(tmp_path / "predictions" / case / "out.nii.gz", mask(1, 1))
    told = refused(tmp_path)
    assert told.startswith("truth: a case has one mask, seg too, got ")
    assert f"{tmp_path / 'truth' / 'a' / 'seg.nii.gz'} and {tmp_path / 'truth' / 'b' / 'seg.nii.gz'}" in told
    assert evaluate(tmp_path, "suffix=out", "truth_suffix=seg")[0] == 0
    assert [case for case, region in rows(tmp_path / "out") if region == "label_1"] == ["a", "b"]


def test_two_formats_of_one_case_are_refused_with_both_paths(tmp_path: Path) -> None:
    make_sides(tmp_path, 1)
    again = save(tmp_path / "predictions" / "p0.nii", mask(0, 1))
    told = refused(tmp_path)
    assert told.startswith("predictions: a case has one mask, p0 too")
    assert str(again) in told
    assert str(tmp_path / "predictions" / "p0.nii.gz") in told


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("P1", "P1 where the truth has p1; write both alike, in upper and lower case too"),
        ("p1_pred", "p1_pred where the truth has p1; set suffix=_pred if that is the end of all of them"),
    ],
)
def test_a_name_that_is_nearly_right_is_not_called_missing(tmp_path: Path, name: str, message: str) -> None:
    make_sides(tmp_path, 3)
    (tmp_path / "predictions" / "p1.nii.gz").rename(tmp_path / "predictions" / f"{name}.nii.gz")
    told = refused(tmp_path)
    assert told.startswith("predictions: have the names of the true masks, got ")
    assert message in told


def test_a_longer_number_is_another_case_and_no_misspelling(tmp_path: Path) -> None:
    make_sides(tmp_path, 3)
    (tmp_path / "predictions" / "p1.nii.gz").rename(tmp_path / "predictions" / "p12.nii.gz")
    code, _, errors = evaluate(tmp_path)
    assert code == 1
    assert "error: p1: no mask of this name among the predictions" in errors
    assert "left out: p12" in errors


def test_names_that_have_nothing_in_common_are_refused(tmp_path: Path) -> None:
    make_sides(tmp_path, 2)
    for path in sorted((tmp_path / "predictions").iterdir()):
        path.rename(path.with_name(f"case{path.name}"))
    told = refused(tmp_path)
    assert "got casep0, casep1 where the truth has p0, p1; rename one side, or set suffix or truth_suffix" in told


def test_predictions_without_truth_can_be_refused(tmp_path: Path) -> None:
    make_sides(tmp_path, 2)
    save(tmp_path / "predictions" / "new.nii.gz", mask(1, 1))
    told = refused(tmp_path, "extra=refuse")
    assert told.startswith("predictions: have a true mask each, as extra=refuse asks, got new; remove them, or")


def test_both_sides_may_lie_in_one_folder_under_different_names(tmp_path: Path) -> None:
    save(tmp_path / "both" / "a.nii.gz", mask(1, 1))
    save(tmp_path / "both" / "a_pred.nii.gz", moved(mask(1, 1)))
    words = (f"truth={tmp_path / 'both'}", f"predictions={tmp_path / 'both'}")
    assert refused(tmp_path, *words).startswith("predictions: are other files than the truth, got ")
    code, _, errors = evaluate(tmp_path, *words, "suffix=_pred")
    assert code == 0, errors
    assert rows(tmp_path / "out")["a", "label_1"]["dice"] == pytest.approx(0.75)
    assert not content(tmp_path / "out" / "evaluate.json")["extra"]


def test_predictions_inside_the_folder_of_the_truth_are_no_truth(tmp_path: Path) -> None:
    make_sides(tmp_path, 2)
    (tmp_path / "predictions").rename(tmp_path / "truth" / "guesses")
    code, _, errors = evaluate(tmp_path, f"predictions={tmp_path / 'truth' / 'guesses'}")
    assert code == 0, errors
    assert len({case for case, _ in rows(tmp_path / "out")}) == 2


def test_subjects_and_sites_come_from_a_table(tmp_path: Path) -> None:
    make_sides(tmp_path, 3)
    table = tmp_path / "people.csv"
    table.write_text("Case;Subject;Site\np1;S1;A\np0;S1;\np2;S2;B\nold;S9;C\n", encoding="utf-8")
    assert evaluate(tmp_path, f"subjects={table}")[0] == 0
    found = rows(tmp_path / "out")
    marks = [(found[f"p{number}", "label_1"]["subject"], found[f"p{number}", "label_1"]["site"]) for number in range(3)]
    assert marks == [("S1", None), ("S1", "A"), ("S2", "B")]


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("case,subject\np0,S1\n", 2, "subjects: names every case of the truth, got no row of p1; add the rows"),
        ("name,subject\np0,S1\n", 2, "subjects: has the columns case and subject, site or both, got name, subject"),
        ("case,subject\np0,S1\np1,\n", 1, "people.csv line 3: a row names its subject, got an empty cell; fill it"),
        (
            "case,subject\np0,S1\np1,S2\np0,S3\n",
            1,
            "people.csv line 4: a case has one row, got p0, which line 2 has too",
        ),
    ],
)
def test_a_table_of_subjects_that_says_too_little_is_refused(
    tmp_path: Path, text: str, code: int, message: str
) -> None:
    make_sides(tmp_path, 2)
    (tmp_path / "people.csv").write_text(text, encoding="utf-8")
    assert refused(tmp_path, f"subjects={tmp_path / 'people.csv'}", code=code).startswith(message)


def test_subjects_can_be_read_from_names(tmp_path: Path) -> None:
    for name in ("A_1", "A_2"):
        save(tmp_path / "truth" / f"{name}.nii.gz", mask(1, 1))
        save(tmp_path / "predictions" / f"{name}.nii.gz", mask(1, 1))
    assert evaluate(tmp_path, 'data.subject="(.)_"')[0] == 0
    assert {row["subject"] for row in rows(tmp_path / "out").values()} == {"A"}


@pytest.mark.parametrize(
    ("name", "text"), [("a.txt", "p2\n\np0\n"), ("a.json", json.dumps({"held_out": ["p0", "p2"]}))]
)
def test_only_the_cases_that_are_listed_are_scored(tmp_path: Path, name: str, text: str) -> None:
    make_sides(tmp_path, 4)
    (tmp_path / "predictions" / "p3.nii.gz").unlink()
    (tmp_path / name).write_text(text, encoding="utf-8")
    code, _, errors = evaluate(tmp_path, f"cases={tmp_path / name}")
    assert code == 0, errors
    assert list(dict.fromkeys(case for case, _ in rows(tmp_path / "out"))) == ["p0", "p2"]
    assert not content(tmp_path / "out" / "evaluate.json")["extra"]


def test_a_listed_case_without_truth_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    make_sides(tmp_path, 2)
    (tmp_path / "cases.txt").write_text("p0\nP1\n", encoding="utf-8")
    told = refused(tmp_path, f"cases={tmp_path / 'cases.txt'}")
    assert told == "cases: names cases that have a true mask, got P1; did you mean p1?"
    (tmp_path / "cases.txt").write_text("\n", encoding="utf-8")
    assert refused(tmp_path, f"cases={tmp_path / 'cases.txt'}").startswith("cases: names at least one case, got ")


@pytest.mark.parametrize("out", ["truth", "predictions", "truth/scores", "images"])
def test_nothing_is_written_into_the_folders_that_are_read(tmp_path: Path, out: str) -> None:
    make_sides(tmp_path, 1)
    save(tmp_path / "images" / "p0.nii.gz", mask(1, 1).astype(np.float32))
    before = sorted(tmp_path.rglob("*"))
    told = refused(tmp_path, f"images={tmp_path / 'images'}", out=out)
    assert told.startswith(f"out: scores go to another folder than those that are read, got {tmp_path / out}, which is")
    assert sorted(tmp_path.rglob("*")) == before


def test_scores_that_no_evaluation_has_written_are_not_overwritten(tmp_path: Path) -> None:
    make_sides(tmp_path, 1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.json").write_text("mine", encoding="utf-8")
    told = refused(tmp_path)
    assert told.startswith("out: a folder that is new, or that evaluate has made, is needed, got ")
    assert told.endswith("which holds summary.json; name another folder")
    assert (tmp_path / "out" / "summary.json").read_text(encoding="utf-8") == "mine"


def test_a_folder_in_which_another_command_is_at_work_is_refused(tmp_path: Path) -> None:
    make_sides(tmp_path, 1)
    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / ".medseg-evaluate").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "one command at a time works in a folder, got " in refused(tmp_path)
    assert evaluate(tmp_path)[0] == 0


def test_what_an_earlier_command_has_left_goes(tmp_path: Path) -> None:
    make_sides(tmp_path, 2)
    assert evaluate(tmp_path)[0] == 0
    assert (tmp_path / "out" / "cases" / "p0.png").is_file()
    draft = tmp_path / "out" / ".medseg-evaluate-killed"
    draft.mkdir()
    (draft / "scores.csv").touch()
    for side in ("truth", "predictions"):
        (tmp_path / side / "p0.nii.gz").unlink()
    assert evaluate(tmp_path)[0] == 0
    assert not draft.exists()
    assert [path.name for path in (tmp_path / "out" / "cases").iterdir()] == ["p1.png"]


def test_no_mask_at_all_is_refused_on_either_side(tmp_path: Path) -> None:
    make_sides(tmp_path, 1)
    (tmp_path / "empty").mkdir()
    assert refused(tmp_path, f"truth={tmp_path / 'empty'}").startswith("truth: holds true masks, got ")
    assert refused(tmp_path, f"predictions={tmp_path / 'empty'}").startswith("predictions: holds masks, got none")
