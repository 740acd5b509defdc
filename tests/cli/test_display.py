from __future__ import annotations

import logging
import time

import pytest

from medseg.cli.display import PatientScreen, PlainScreen, amount, clock, fraction, remaining, screen, shown
from medseg.values.progress import Progress, tell

DURATIONS = {0.04: "0.0 s", 48.2: "48 s", 59.9: "1 min 00 s", 320: "5 min 20 s", 7500: "2 h 05 min"}


@pytest.mark.parametrize(("seconds", "text"), DURATIONS.items())
def test_durations(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_time_left_is_at_the_speed_so_far() -> None:
    assert remaining(30, 0.25, 0.75) == "1 min 30 s left"
    assert remaining(30, 0.0, 1.0) == ""
    assert remaining(0.1, 0.5, 0.5) == ""


def test_amounts_and_facts() -> None:
    news = Progress("train", 12, 36, "steps", {"loss": 0.41234, "case": "a"})
    assert amount(news) == "12/36 steps"
    assert amount(Progress("train", 12, None, "steps")) == "12 steps"
    assert shown(news.facts) == "loss 0.412  case a"
    assert fraction(news) == pytest.approx(1 / 3)
    assert fraction(Progress("train", 12, None, "steps", {}, 0.5)) == 0.5


def test_a_file_gets_few_lines_and_always_the_last_one(capsys: pytest.CaptureFixture[str]) -> None:
    plain = PlainScreen()
    for done in range(1, 101):
        plain.show(Progress("prepare", done, 100, "cases"))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "100/100 cases" in lines[0]


def test_the_screen_listens_only_inside_its_block(capsys: pytest.CaptureFixture[str]) -> None:
    with screen():
        tell("split", 1, 1, "cases")
    tell("other", 1, 1, "cases")
    errors = capsys.readouterr().err
    assert "split" in errors
    assert "other" not in errors


def test_what_modules_say_is_shown_as_lines_inside_the_block(capsys: pytest.CaptureFixture[str]) -> None:
    speaker = logging.getLogger("medseg.engines.somewhere")
    with screen():
        speaker.info("training ends %s", "early")
        speaker.warning("a file with\x1b[31m odd\nname is damaged")
        speaker.debug("nobody wants to know")
    speaker.info("too late")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["training ends early", "warning: a file with?[31m odd name is damaged"]


def test_a_patient_screen_tells_of_long_tasks_only(capsys: pytest.CaptureFixture[str]) -> None:
    patient = PatientScreen()
    patient.started["long"] = (time.monotonic() - 60, 0.0)
    for done in (1, 2, 3):
        patient.show(Progress("quick", done, 3, "cases"))
        patient.show(Progress("long", done, 3, "cases"))
    told = capsys.readouterr().err.splitlines()
    assert [line.split()[:2] for line in told] == [["long", "1/3"], ["long", "3/3"]]
