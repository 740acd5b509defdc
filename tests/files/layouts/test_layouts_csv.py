"""A table of cases is read strictly: what is wrong in it is refused with its line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from medseg.files.layouts.find import DataSettings, find_cases
from tests.files.layouts.layout_trees import refusal, summary, touch, write

PLAIN = "case,MR,CT,label\nb,i/b.nii,i/b.mha,m/b.nii\na,i/a.nii,,\n"


def test_rows_are_cases_and_columns_are_channels(tmp_path: Path) -> None:
    write(tmp_path, "cases.csv", PLAIN)
    found = find_cases(tmp_path, DataSettings())
    assert (found.layout, found.channels) == ("csv", ("MR", "CT"))
    assert summary(found) == {
        "a": ({"MR": "i/a.nii"}, None),
        "b": ({"MR": "i/b.nii", "CT": "i/b.mha"}, "m/b.nii"),
    }
    assert find_cases(tmp_path / "cases.csv", DataSettings()) == found


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("i/b.nii", '"i/b.nii"').replace("\na,", '\n"a",'),
        PLAIN.replace("\n", "\n\n").replace("m/b.nii", "m/b.nii,,"),
        PLAIN.replace("case", "Case").replace("label", "MASK"),
        PLAIN.removesuffix("\n"),
    ],
)
def test_spreadsheets_write_tables_in_many_ways(tmp_path: Path, text: str) -> None:
    (tmp_path / "one.csv").write_bytes(PLAIN.encode())
    (tmp_path / "other.csv").write_bytes(text.encode())
    one, other = (find_cases(tmp_path / name, DataSettings()) for name in ("one.csv", "other.csv"))
    assert one == other


def test_quoted_cells_hold_delimiters(tmp_path: Path) -> None:
    write(tmp_path, "cases.csv", 'case,MR,label\n"a","i, j/""a"".nii",m.nii\n')
    assert summary(find_cases(tmp_path, DataSettings())) == {"a": ({"MR": 'i, j/"a".nii'}, "m.nii")}


def test_channels_and_mask_are_chosen_and_renamed(tmp_path: Path) -> None:
    write(tmp_path, "cases.csv", "case,mr path,ct,rater 1,label,mask\na,a.nii,b.nii,r.nii,l.nii,m.nii\n")
    settings = DataSettings(channels={"MR": "MR path"}, mask="rater 1")
    assert summary(find_cases(tmp_path, settings)) == {"a": ({"MR": "a.nii"}, "r.nii")}
    message = refusal(tmp_path / "cases.csv", exit_code=1)
    assert message == "cases.csv line 1: one column holds the masks, got label and mask; set data.mask=label, say"
    message = refusal(tmp_path, DataSettings(layout="csv", channels={"PET": "pet"}), exit_code=2)
    assert "layout csv is a table with the columns case, label and one per channel, got no such .csv" in message
    message = refusal(tmp_path / "cases.csv", DataSettings(channels={"PET": "pet"}, mask="label"))
    columns = "case, mr path, ct, rater 1, label, mask"
    assert message == f"data.channels.PET: is a column of cases.csv: {columns}, got pet; name one"


def test_columns_that_name_no_scans_are_no_channels(tmp_path: Path) -> None:
    touch(tmp_path, "scans/PET_1/0.dcm")
    write(tmp_path, "t.csv", "case,age,PET,CT,label\na,40,scans/PET_1,,m.nii\nb,50,,ct.nii,m2.nii\n")
    assert find_cases(tmp_path, DataSettings()).channels == ("PET", "CT")


def test_paths_may_lead_anywhere_and_stay_named_where_nothing_is(tmp_path: Path) -> None:
    write(tmp_path / "set", "t.csv", f"case,MR,label\na,../x.nii,{tmp_path}/m.nii\n")
    assert summary(find_cases(tmp_path / "set", DataSettings())) == {"a": ({"MR": "../x.nii"}, f"{tmp_path}/m.nii")}
    os.mkfifo(tmp_path / "x.nii")
    message = refusal(tmp_path / "set", exit_code=1)
    assert message == "t.csv line 2: names files, and folders of DICOM slices, got ../x.nii; name a scan"


def test_people_parts_and_annotations_are_columns(tmp_path: Path) -> None:
    header = "case,MR,label,Subject,site,group,split,annotated,hospital\n"
    rows = ["a,a.nii,m.nii,p1,Oslo,adult,TRAIN,core;outer rim,H1", "b,b.nii,m.nii,p1,,,Val,core rim,H2",
            "c,c.nii,m.nii,p2,Bonn,child,test,core|rim;,H1", "d,d.nii,m.nii,p3,Bonn,child,,;,H1",
            "e,e.nii,m.nii,p4,Bonn,child,Held_out,,H1"]  # fmt: skip
    write(tmp_path, "cases.csv", header + "\n".join(rows))
    cases = find_cases(tmp_path, DataSettings()).cases
    assert [(case.subject, case.site, case.group) for case in cases[:3]] == [
        ("p1", "Oslo", "adult"),
        ("p1", None, None),
        ("p2", "Bonn", "child"),
    ]
    assert [case.part for case in cases] == ["train", "validation", "held_out", None, "held_out"]
    names = [case.annotated for case in cases]
    assert names == [("core", "outer rim"), ("core", "rim"), ("core", "rim"), (), None]
    cases = find_cases(tmp_path, DataSettings(subject="hospital", site="^(.)", group="split")).cases
    assert [(case.subject, case.site, case.group) for case in cases[:2]] == [("H1", "a", "TRAIN"), ("H2", "b", "Val")]


def test_a_subject_column_is_whole(tmp_path: Path) -> None:
    write(tmp_path, "cases.csv", "case,MR,label,subject\na,a.nii,m.nii,p1\nb,b.nii,m.nii,\n")
    message = refusal(tmp_path, exit_code=1)
    assert message.startswith("b: the column subject names the subject of every case, got an empty cell; ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"case,MR,label\na,a.nii\n", "line 2: a row has as many cells as the header, got 2 cells for 3 columns; "),
        (b"case,MR,label\na,a.nii,m.nii,x\n", "line 2: a row has as many cells as the header, got 4 cells for 3"),
        (
            b"case,MR,label\n\na,a.nii,m.nii\n,b.nii,m.nii\n",
            "line 4: the column case names the case, got an empty cell",
        ),
        (b"case,MR,label\na,a.nii,m.nii\na,b.nii,m.nii\n", "line 3: every case has one row, got a as in line 2; "),
        (b"case,MR,label,split\na,a.nii,m.nii,later\n", "line 2: split is train, validation or held_out, got later; "),
        (b"case,MR,mr,label\na,a.nii,b.nii,m.nii\n", "line 1: columns have different names, got MR; "),
        (b"case,MR,,label\na,a.nii,b.nii,m.nii\n", "line 1: every column has a name, got none for column 3; "),
        (b'case,MR,label\na,"a.nii,m.nii\n', "line 2: is a table, got unexpected end of data; "),
        (b'case,MR,label\na,"a"x.nii,m.nii\n', "line 2: is a table, got ',' expected after '\"'; "),
        (
            b"case,MR,label\na,a.nii,m.nii\nb\xe9,b.nii,m.nii\n",
            "line 3: is UTF-8 text, got invalid continuation byte; ",
        ),
        (b"case,MR,label\na,a\0.nii,m.nii\n", "line 2: is text, got a NUL character; "),
        (b"case,age,label\na,40,m.nii\n", "line 1: has a column for each channel that names scans, got case, age, lab"),
        (b"name,MR,label\na,a.nii,m.nii\n", "line 1: has a column case, got name, MR, label; "),
        (b"", "line 1: every column has a name, got none; "),
        ("case,MR,label\n".encode("utf-16"), "line 1: is UTF-8 text, got invalid start byte; "),
        (b'case,MR,label\na,"' + b"x" * 200_000 + b'.nii",m.nii\n', "line 2: is a table, got field larger than"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "cases.csv").write_bytes(text)
    assert refusal(tmp_path / "cases.csv", exit_code=1).startswith(f"cases.csv {message}")


def test_a_huge_table_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "cases.csv").open("wb") as file:
        file.write(PLAIN.encode())
        file.truncate(1 << 36)
    message = refusal(tmp_path / "cases.csv", exit_code=1)
    assert message.startswith(f"cases.csv: a table has at most 64 MiB, got {1 << 36} bytes; ")


def test_other_tables_in_the_folder_do_not_count(tmp_path: Path) -> None:
    write(tmp_path, "cases.tsv", PLAIN.replace(",", "\t"))
    write(tmp_path, "ages.csv", "case,age\na,40\n")
    write(tmp_path, "diagnoses.csv", "case,age,label\na,40,glioma\n")
    (tmp_path / "noise.csv").write_bytes(bytes(range(256)))
    assert [case.case for case in find_cases(tmp_path, DataSettings()).cases] == ["a", "b"]
    write(tmp_path, "more.csv", PLAIN)
    message = refusal(tmp_path)
    assert "data.root: the folder holds one table of cases, got cases.tsv and more.csv; set data.root=" in message
    assert summary(find_cases(tmp_path / "more.csv", DataSettings())) == summary(
        find_cases(tmp_path / "cases.tsv", DataSettings())
    )


@pytest.mark.parametrize("settings", [{}, {"channels": {"MR": "MR"}, "mask": "label"}])
def test_a_table_beside_another_layout_is_for_the_user_to_choose(tmp_path: Path, settings: dict[str, Any]) -> None:
    write(touch(tmp_path, "images/a.nii", "labels/a.nii"), "cases.csv", "case,MR,label\na,images/a.nii,labels/a.nii\n")
    message = refusal(tmp_path, DataSettings(**settings))
    assert message == "data.layout: the folder fits one layout, got pairs and csv; set data.layout to pairs or csv"
    assert find_cases(tmp_path, DataSettings(layout="csv")).channels == ("MR",)
