"""The words of the command line: a command first, then settings; options by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from medseg.cli.arguments import parse
from medseg.values.error import Refusal


def test_a_command_its_words_and_its_options_are_told_apart() -> None:
    found = parse(["run", "-m", "seed=1,2", "--config-dir", "DIR", "--config-name=settings"])
    assert (found.command, found.words, found.multirun, found.help) == ("run", ("seed=1,2",), True, False)
    assert (found.config_dir, found.config_name) == (Path("DIR"), "settings")


@pytest.mark.parametrize("words", [[], ["--help"], ["run", "-h"]])
def test_help_is_what_no_word_at_all_asks_for(words: list[str]) -> None:
    assert parse(words).help


@pytest.mark.parametrize(("words", "message"), [
    (["data.root=DIR"], "a command comes first, got data.root=DIR; write medseg run data.root=DIR"),
    (["seed=1", "check", "name=x"], "a command comes first, got seed=1; write medseg check seed=1 name=x"),
    (["run", "--data.root=x"], "options are -m, --config-dir, --config-name, --help, --version, got --data.root=x; "
                               "settings have no dashes: data.root=x"),
    (["run", "--data"], "options are -m, --config-dir, --config-name, --help, --version, got --data; see medseg"),
    (["run", "--config-dir"], "a value must follow, got nothing; write --config-dir VALUE"),
    (["help"], "one of run, plan, check, prepare, train, predict, score, report, segment, evaluate, compare, export, "),
])  # fmt: skip
def test_what_cannot_be_meant_is_refused_and_never_answered_with_help(words: list[str], message: str) -> None:
    with pytest.raises(Refusal) as caught:
        parse(words)
    assert message in str(caught.value)
    assert caught.value.exit_code == 2
