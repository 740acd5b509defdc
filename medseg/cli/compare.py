"""The command `compare`: two runs or more on the same scans."""

from __future__ import annotations

from typing import Any

from medseg.cli.arguments import Arguments
from medseg.cli.collector import collector_at_rest
from medseg.cli.compose import assert_plain, plain_tree
from medseg.cli.display import say, screen
from medseg.experiment.comparing.command import compare as compare_runs
from medseg.experiment.comparing.settings import read_compare_settings
from medseg.values.error import wrong_setting
from medseg.values.finding import printable


def compare(arguments: Arguments) -> int:
    """Compare the runs, print what differs in sentences and where compare.html lies."""
    if arguments.multirun or arguments.config_dir is not None:
        rule = "runs are compared by the settings on the command line"
        raise wrong_setting("compare", rule, "-m or --config-dir", "leave it out")
    with collector_at_rest():
        settings = read_compare_settings(_tree(arguments.words))
    with screen():
        found = compare_runs(settings)
    for sentence in found.sentences:
        say(printable(sentence))
    say(str(found.page))
    return 0


def _tree(words: tuple[str, ...]) -> dict[str, Any]:
    """Read the words; a path stands as it is typed, whatever letters are in it, unless it is quoted."""
    parted = [word.partition("=") for word in words]
    paths = {name: text for name, _, text in parted if name in ("out", "runs") and not _is_quoted(text)}
    assert_plain(paths)
    rest = [word for word, (name, _, _) in zip(words, parted, strict=True) if name not in paths]
    tree: dict[str, Any] = {**plain_tree(rest), **paths}
    if "runs" in paths:
        tree["runs"] = _listed(paths["runs"])
    return tree


def _is_quoted(text: str) -> bool:
    return any(mark in text for mark in ("'", '"', "{"))


def _listed(text: str) -> list[str]:
    """Part `[A,B]` or `A,B` at its commas; the names of sweeps hold some, and are joined again where they are found."""
    inside = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    return [part.strip() for part in inside.split(",") if part.strip()]
