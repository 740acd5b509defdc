from __future__ import annotations

import shlex

import pytest

from medseg.report.check_wording import command_line, headline, repairs


@pytest.mark.parametrize(("numbers", "text"), [
    ((0, 0, 0, 0), "No scan was found."),
    ((1, 0, 0, 0), "The one scan can be used."),
    ((1, 1, 0, 0), "None of 1 scan can be used."),
    ((150, 0, 0, 0), "All 150 scans can be used."),
    ((150, 0, 5, 0), "All 150 scans can be used; 5 should be looked at."),
    ((150, 3, 0, 0), "147 of 150 scans can be used; 3 are refused."),
    ((150, 1, 2, 1), "149 of 150 scans can be used; 1 is refused, and 2 more should be looked at. "
     "1 finding about the whole set deserves attention."),
    ((9, 9, 0, 2), "None of 9 scans can be used. 2 findings about the whole set deserve attention."),
])  # fmt: skip
def test_the_headline_is_a_sentence(numbers: tuple[int, int, int, int], text: str) -> None:
    assert headline(*numbers) == text


def test_repairs_are_joined_and_contradictions_left_out() -> None:
    asked = ["data.repair=[round_mask]", None, "data.assume_orientation=RAS", "data.repair=[use_qform, round_mask]",
             "data.repair=[use_sform]", "data.assume_orientation=LPS"]  # fmt: skip
    assert repairs(asked) == ("data.assume_orientation=RAS", "data.repair=[round_mask,use_qform]")
    assert repairs([None]) == ()


def test_the_command_is_the_one_given_with_the_repairs_added() -> None:
    words = ["data.root=/a b/$(c)", "data.repair=[fill_nonfinite]", "data.assume_orientation=LPS", "name=it's"]
    line = command_line(words, ["data.repair=[round_mask]", "data.assume_orientation=RAS"])
    assert shlex.split(line) == [
        "medseg", "check", "data.root=/a b/$(c)", "name=it's", "data.assume_orientation=RAS",
        "data.repair=[fill_nonfinite,round_mask]",
    ]  # fmt: skip
    assert command_line(words, [None]) == ""


def test_the_command_can_be_given_again_with_the_same_result() -> None:
    once = command_line(["data.root=x"], ["data.repair=[round_mask]"])
    assert command_line(shlex.split(once)[2:], ["data.repair=[round_mask]"]) == once
