"""The training guide: its commands are accepted, and the settings it names exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from medseg.cli.arguments import parse
from medseg.cli.commands import read_words
from medseg.cli.help import about
from medseg.experiment.describe import describe

GUIDE = (Path(__file__).parents[2] / "docs/training.md").read_text(encoding="utf-8")
COMMANDS = [
    line.strip() for text in (GUIDE, about("train")) for line in text.splitlines() if line.strip().startswith("medseg ")
]


@pytest.mark.parametrize("line", [line for line in COMMANDS if "DIR" in line or "NEW" in line])
def test_a_command_is_accepted(line: str) -> None:
    words = shlex.split(re.split(r" {3,}", line)[0], comments=True)
    arguments = parse(words[1:])
    settings, machine = read_words(arguments, arguments.words, None)
    assert machine.microbatch in (None, 1)
    assert settings.training.step_budget or settings.training.minutes


def test_every_setting_that_is_named_exists() -> None:
    known = set(re.findall(r"^\| `([a-z_.0-9]+)` \|", describe(), re.MULTILINE))
    groups = {name.split(".")[0] for name in known if "." in name} - {"data", "split"}
    named = {name.rstrip(".") for name in re.findall(rf"`((?:{'|'.join(groups)})\.[a-z_.]+)", GUIDE)}
    assert len(named) > 25
    assert sorted(named - known) == []
