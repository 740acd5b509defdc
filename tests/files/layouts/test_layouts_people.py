"""Subject, site and group come from columns or from names."""

from __future__ import annotations

from pathlib import Path

import pytest

from medseg.files.layouts.find import DataSettings, find_cases
from tests.files.layouts.layout_trees import refusal, touch


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two scans of one subject and one of another."""
    return touch(tmp_path, *(f"{folder}/{name}.nii" for folder in ("images", "labels")
                             for name in ("p01_left", "p01_right", "p02_left")))  # fmt: skip


def test_people_are_found_in_the_case_name(root: Path) -> None:
    found = find_cases(root, DataSettings(subject=r"^(p\d+)_", site="^p0(.)", group="_(.+)"))
    assert [(case.subject, case.site, case.group) for case in found.cases] == [
        ("p01", "1", "left"),
        ("p01", "1", "right"),
        ("p02", "2", "left"),
    ]


def test_without_settings_every_case_is_a_subject(root: Path) -> None:
    found = find_cases(root, DataSettings())
    assert [(case.subject, case.site, case.group) for case in found.cases] == [
        (name, None, None) for name in ("p01_left", "p01_right", "p02_left")
    ]


@pytest.mark.parametrize("what", ["subject", "site", "group"])
def test_wrong_expressions_are_wrong_settings(root: Path, what: str) -> None:
    def told(expression: str) -> str:
        return refusal(root, DataSettings(**{what: expression}))

    assert told("(").startswith(f"data.{what}: is a regular expression, got ( (missing ), unterminated subpattern")
    assert f"data.{what}: has one group ( ) that holds the {what}, got 0 groups in p; mark it with ( )" == told("p")
    assert f"data.{what}: finds the {what} in every case name, like (x), got p01_left; widen it" == told("(x)")
    assert f"data.{what}: finds the {what} in every case name, like (x?), got p01_left; widen it" == told("(x?)")
