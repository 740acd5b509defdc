"""No subject straddles a split, parts keep their proportions, and what a data set names is followed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.files.records import CaseRecord, FileRecord
from medseg.stages.split import Split, SplitSettings, SplitStage, divide, run
from medseg.values.error import Refusal
from medseg.values.machine import Machine

Part = Literal["train", "validation", "held_out"]


def cases(tumour: int, healthy: int, scans: int = 1) -> list[CaseRecord]:
    return [
        CaseRecord(
            case=f"s{number}_{scan}", subject=f"s{number}", channels={}, mask=None, tumour_voxels=int(number < tumour)
        )
        for number in range(tumour + healthy)
        for scan in range(scans)
    ]


@given(st.integers(2, 40), st.integers(2, 40), st.integers(1, 3), st.integers(0, 5))
def test_parts_are_disjoint_complete_and_by_subject(tumour: int, healthy: int, scans: int, seed: int) -> None:
    everything = cases(tumour, healthy, scans)
    split = divide(everything, SplitSettings(held_out=0.25, validation=0.2), seed)
    parts = [set(split.train), set(split.validation), set(split.held_out)]
    assert sum(len(part) for part in parts) == len(everything)
    assert set().union(*parts) == {case.case for case in everything}
    subjects = [{case.split("_")[0] for case in part} for part in parts]
    assert sum(len(part) for part in subjects) == len(set().union(*subjects))


def test_strata_keep_their_proportion() -> None:
    split = divide(cases(60, 30), SplitSettings(held_out=0.2, validation=0.25), 0)
    healthy = [sum(int(case[1:].split("_")[0]) >= 60 for case in part) for part in (split.held_out, split.validation)]
    assert (len(split.held_out), healthy[0]) == (18, 6)
    assert (len(split.validation), healthy[1]) == (18, 6)


def test_order_of_cases_and_seed() -> None:
    everything = cases(12, 6)
    settings = SplitSettings()
    assert divide(everything, settings, 3) == divide(reversed(everything), settings, 3)
    assert divide(everything, settings, 3).held_out != divide(everything, settings, 4).held_out


def test_a_new_subject_hardly_moves_the_others() -> None:
    before = divide(cases(40, 0), SplitSettings(), 0)
    after = divide(cases(41, 0), SplitSettings(), 0)
    assert len(set(before.held_out) ^ set(after.held_out)) <= 2


def test_folds_cover_every_subject_once() -> None:
    everything = cases(12, 8)
    folds = [divide(everything, SplitSettings(held_out=0.2, folds=4, fold=fold), 0) for fold in range(4)]
    assert len({fold.held_out for fold in folds}) == 1
    validated = [case for fold in folds for case in fold.validation]
    assert len(validated) == len(set(validated)) == 16


def test_named_cases_take_their_subject_with_them() -> None:
    split = divide(cases(6, 0, scans=2), SplitSettings(), 0, frozenset({"s2_0"}))
    assert split.held_out == ("s2_0", "s2_1")


def test_nothing_held_out_when_the_share_is_zero() -> None:
    assert divide(cases(4, 2), SplitSettings(held_out=0.0), 0).held_out == ()


def test_too_few_subjects() -> None:
    with pytest.raises(
        Refusal, match=r"split: this split needs at least 3 subjects, one in each part, got 2 .*; add subjects"
    ):
        divide(cases(2, 0), SplitSettings(), 0)


@pytest.mark.parametrize(
    ("made", "settings", "seed", "named", "digest"),
    [
        ((12, 6), {}, 0, None, "0011a8d4ef1d6c4b"),
        ((20, 11, 3), {"held_out": 0.25, "validation": 0.2}, 7, None, "fa45b8a6d25bdbf5"),
        ((12, 8), {"folds": 4, "fold": 2}, 3, None, "4539600d5d9bada6"),
        ((6, 4, 2), {}, 0, frozenset({"s2_0"}), "e398033d7bba00ff"),
        ((9, 0), {"held_out": 0.0}, 1, None, "35b654ae36e36547"),
        ((700, 300), {}, 5, None, "9c8ccef0dc4f68b1"),
    ],
)
def test_splits_without_group_site_and_part_are_what_they_always_were(
    made: tuple[int, ...], settings: dict[str, Any], seed: int, named: frozenset[str] | None, digest: str
) -> None:
    split = divide(cases(*made), SplitSettings(**settings), seed, named)
    assert hashlib.sha256(split.model_dump_json(indent=1).encode()).hexdigest().startswith(digest)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"held_out": 1.5}, "split.held_out: a share is at least 0 and below 1, got 1.5"),
        ({"folds": 1}, "split.fold: folds are 0, or at least 2"),
        ({"folds": 3, "fold": 3}, "split.fold: .* got fold 3 of 3"),
    ],
)
def test_refused_settings(values: dict[str, object], message: str) -> None:
    with pytest.raises(Refusal, match=message):
        SplitSettings(**values)


def person(
    number: int, *, scan: int = 0, group: str | None = None, site: str | None = None, part: Part | None = None,
    content: str | None = None, tumour: bool = True,
) -> CaseRecord:  # fmt: skip
    """Make the record of one scan; `content` is what its channel file holds."""
    digest = hashlib.sha256((content or f"{number} {scan}").encode()).hexdigest()
    files = {"MR": FileRecord(path=f"{number}_{scan}.nii", sha256=digest)}
    return CaseRecord(
        case=f"s{number:03d}_{scan}", subject=f"s{number:03d}", channels=files, mask=None, group=group, site=site,
        part=part, tumour_voxels=int(tumour),
    )  # fmt: skip


def counts(split: Split, records: list[CaseRecord], chosen: Any) -> tuple[int, int, int]:
    """Count the records that `chosen` is true of in training, validation and held-out."""
    names = {record.case for record in records if chosen(record)}
    train, validation, held_out = (len(names & set(part)) for part in (split.train, split.validation, split.held_out))
    return train, validation, held_out


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 12)), min_size=12, max_size=60), st.integers(0, 3))
def test_neither_subjects_nor_copies_straddle(scans: list[tuple[int, int]], seed: int) -> None:
    """Each scan is of one of 31 subjects and has one of 13 contents, which makes long chains of equal ones."""
    alone = [person(100 + number) for number in range(6)]
    records = alone + [
        person(subject, scan=scan, content=f"content {content}") for scan, (subject, content) in enumerate(scans)
    ]
    split = divide(records, SplitSettings(), seed)
    part_of = {case: name for name in ("train", "validation", "held_out") for case in getattr(split, name)}
    assert sorted(part_of) == sorted(record.case for record in records)
    for key in (lambda one: one.subject, lambda one: one.channels["MR"].sha256):
        parts: dict[str, set[str]] = {}
        for record in records:
            parts.setdefault(key(record), set()).add(part_of[record.case])
        assert all(len(names) == 1 for names in parts.values())
    in_other_order = sorted(records, key=lambda one: (one.channels["MR"].sha256, one.case))
    assert divide(in_other_order, SplitSettings(), seed) == split


@given(
    st.lists(
        st.tuples(st.sampled_from(["adult", "child", None]), st.sampled_from(["Oslo", "Bonn", None]), st.booleans()),
        min_size=10,
        max_size=80,
    )
)
def test_every_stratum_keeps_its_share_within_one(people: list[tuple[str | None, str | None, bool]]) -> None:
    records = [
        person(number, group=group, site=site, tumour=tumour) for number, (group, site, tumour) in enumerate(people)
    ]
    settings = SplitSettings(held_out=0.3, validation=0.25, stratify=("tumour", "group", "site"))
    split = divide(records, settings, 0)
    held_out, validation = len(split.held_out), len(split.validation)
    for kind in set(people):
        train, in_validation, in_held_out = counts(
            split, records, lambda one, kind=kind: (one.group, one.site, bool(one.tumour_voxels)) == kind
        )
        size = train + in_validation + in_held_out
        assert abs(in_held_out - held_out * size / len(records)) < 1
        rest = len(records) - held_out
        assert abs(in_validation - validation * (size - in_held_out) / rest) < 1


def test_groups_keep_their_proportion_unless_told_otherwise() -> None:
    records = [person(number, group="child" if number % 5 == 0 else "adult") for number in range(50)]
    split = divide(records, SplitSettings(held_out=0.2, validation=0.25), 0)
    assert counts(split, records, lambda one: one.group == "child") == (6, 2, 2)
    plain = [record.model_copy(update={"group": None}) for record in records]
    assert divide(records, SplitSettings(stratify=("tumour",)), 0) == divide(plain, SplitSettings(), 0)
    assert divide(records, SplitSettings(stratify=()), 0) == divide(plain, SplitSettings(), 0)


@pytest.mark.parametrize("group", ["adult", "child", "new"])
def test_a_new_subject_moves_few_in_any_group(group: str) -> None:
    records = [person(number, group="child" if number % 3 == 0 else "adult") for number in range(60)]
    before = divide(records, SplitSettings(), 0)
    after = divide([*records, person(999, group=group)], SplitSettings(), 0)
    assert len(set(before.held_out) ^ set(after.held_out)) <= 3
    assert len(set(before.validation) ^ set(after.validation)) <= 6


def test_whole_sites_are_held_out() -> None:
    records = [person(number, site=("Oslo", "Bonn", "Rome")[number % 3]) for number in range(12)]
    records.append(person(1, scan=1, site="Rome"))
    split = divide(records, SplitSettings(held_out_sites=("Rome",), held_out=0.5), 0)
    rome = {"s002_0", "s005_0", "s008_0", "s011_0"}
    assert set(split.held_out) == rome | {"s001_0", "s001_1"}
    with_names = divide(records, SplitSettings(held_out_sites=("Rome",)), 0, frozenset({"s000_0"}))
    assert set(with_names.held_out) == rome | {"s001_0", "s001_1", "s000_0"}


def test_unknown_sites_are_wrong_settings() -> None:
    records = [person(number, site=("Oslo", "Bonn")[number % 2]) for number in range(12)]
    with pytest.raises(Refusal, match=r"split\.held_out_sites: sites are among Bonn, Oslo, got Rome; ") as caught:
        divide(records, SplitSettings(held_out_sites=("Oslo", "Rome")), 0)
    assert caught.value.exit_code == 2
    with pytest.raises(Refusal, match=r"sites are among none: no case has a site, got Oslo; .* data\.site"):
        divide([person(number) for number in range(9)], SplitSettings(held_out_sites=("Oslo",)), 0)
    with pytest.raises(Refusal, match=r"needs at least 3 subjects, .* got 12 \(training 0, validation 0, held-out 12"):
        divide(records, SplitSettings(held_out_sites=("Oslo", "Bonn")), 0)


def test_parts_that_the_data_set_names_are_followed() -> None:
    parts: list[Part | None] = ["train", "validation", "held_out", None]
    records = [person(number, part=parts[number % 4]) for number in range(20)]
    records.append(person(2, scan=1))
    split = divide(records, SplitSettings(), 0)
    assert split.held_out == ("s002_0", "s002_1", "s006_0", "s010_0", "s014_0", "s018_0")
    assert split.validation == tuple(f"s{number:03d}_0" for number in (1, 5, 9, 13, 17))
    plain = [record.model_copy(update={"part": None}) for record in records]
    assert divide(records, SplitSettings(follow=False), 0) == divide(plain, SplitSettings(), 0)


def test_parts_that_it_does_not_name_are_drawn() -> None:
    held_out = [person(number, part="held_out" if number < 5 else None) for number in range(25)]
    split = divide(held_out, SplitSettings(validation=0.25), 0)
    assert split.held_out == tuple(f"s{number:03d}_0" for number in range(5))
    assert len(split.validation) == 5
    trained = [person(number, part="held_out" if number < 5 else "train") for number in range(25)]
    assert divide(trained, SplitSettings(validation=0.25), 0) == split
    some = [person(number, part="train" if number < 15 else None) for number in range(25)]
    split = divide(some, SplitSettings(held_out=0.4), 0)
    assert len(split.held_out) == 4
    assert min(split.held_out) >= "s015_0"
    every = [person(number, part="train" if number < 15 else "validation") for number in range(25)]
    with pytest.raises(Refusal, match=r"held-out 0, the data set names the parts of 25\); .* set split\.follow=false"):
        divide(every, SplitSettings(), 0)
    assert divide(every, SplitSettings(held_out=0.0), 0).validation == tuple(f"s{n:03d}_0" for n in range(15, 25))


def test_folds_are_dealt_from_all_that_is_not_held_out() -> None:
    parts: list[Part | None] = ["train", "validation", "held_out", None]
    records = [person(number, part=parts[number % 4]) for number in range(20)]
    folds = [divide(records, SplitSettings(folds=3, fold=fold), 0) for fold in range(3)]
    assert {fold.held_out for fold in folds} == {("s002_0", "s006_0", "s010_0", "s014_0", "s018_0")}
    validated = [case for fold in folds for case in fold.validation]
    assert len(validated) == len(set(validated)) == 15


def test_what_is_held_out_by_setting_or_data_set_is_never_trained_on() -> None:
    records = [person(number, site="Oslo" if number < 4 else "Bonn", part="held_out" if number > 15 else "train")
               for number in range(20)]  # fmt: skip
    split = divide(records, SplitSettings(held_out_sites=("Oslo",)), 0, frozenset({"s007_0"}))
    assert split.held_out == tuple(f"s{number:03d}_0" for number in (0, 1, 2, 3, 7, 16, 17, 18, 19))


def test_a_subject_in_two_parts_is_refused() -> None:
    records = [person(number) for number in range(9)]
    straddling = [*records, person(3, scan=1, part="train"), person(3, scan=2, part="held_out")]
    with pytest.raises(
        Refusal,
        match=r"subject s003: all scans of a subject are in one part .*, got s003_2 in held_out, s003_1 in train; ",
    ):
        divide(straddling, SplitSettings(), 0)
    copies = [*records, person(20, part="train", content="same"), person(21, part="held_out", content="same")]
    with pytest.raises(Refusal, match=r"subject s020: .* got s021_0 in held_out, s020_0 in train; .*follow=false"):
        divide(copies, SplitSettings(), 0)
    assert divide(copies, SplitSettings(follow=False), 0)


def test_too_few_because_of_copies_says_so() -> None:
    records = [person(number, content="atlas") for number in range(9)]
    with pytest.raises(Refusal, match=r"got 1 \(training .*, of the same files: s000 = s001 = s002 = s003 "):
        divide(records, SplitSettings(), 0)


def written(folder: Path, records: list[CaseRecord], settings: SplitSettings, held_out: bytes | None = None) -> Split:
    """Run the stage on an index folder."""
    index = folder / "index"
    index.mkdir(parents=True)
    table = {"cases": [record.model_dump(mode="json") for record in records]}
    (index / "cases.json").write_text(json.dumps(table))
    inputs = {"index": index}
    if held_out is not None:
        (folder / "held_out.txt").write_bytes(held_out)
        inputs["held_out"] = folder / "held_out.txt"
    run(SplitStage(seed=0, split=settings), inputs, folder, Machine())
    return Split.model_validate_json((folder / "split.json").read_text())


def test_the_stage_reads_the_index_and_a_list_of_names(tmp_path: Path) -> None:
    records = [person(number, site="Oslo") for number in range(9)]
    assert written(tmp_path / "a", records, SplitSettings()) == divide(records, SplitSettings(), 0)
    named = written(tmp_path / "b", records, SplitSettings(held_out="file"), b"\xef\xbb\xbfs001_0\n\ns004_0\n")
    assert named.held_out == ("s001_0", "s004_0")
    with pytest.raises(Refusal, match=r"split\.held_out: every line names an accepted case, got other; "):
        written(tmp_path / "c", records, SplitSettings(held_out="file"), b"other\n")
    with pytest.raises(Refusal, match=r"split\.held_out: is a text file in UTF-8, got invalid start byte; "):
        written(tmp_path / "d", records, SplitSettings(held_out="file"), b"\xff\xfe")
