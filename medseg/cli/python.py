"""What Python programs and notebooks ask for in the words of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from tempfile import TemporaryDirectory

from medseg.cli.arguments import parse
from medseg.cli.commands import read_jobs
from medseg.cli.commands import run as run_command
from medseg.cli.compose import plain_tree
from medseg.cli.display import patiently
from medseg.cli.overrides import quoted
from medseg.experiment.comparing.settings import read_compare_settings
from medseg.experiment.opening.comparison import Comparison, compare_into
from medseg.experiment.opening.data import Data
from medseg.experiment.opening.runs import open_run
from medseg.experiment.opening.walking import Walk
from medseg.report.notebook.run import Run
from medseg.values.error import wrong_setting


def open_data(root: str | PathLike[str] | None, words: Sequence[str]) -> Data:
    """Look at the scans of `root`, a folder or a CSV; None leaves it to the words, without any the head phantoms.

    `words` are settings as on the command line, like "data.layout=msd". Refuses what `medseg run` refuses.
    """
    named = [] if root is None else [f"data.root={quoted(fspath(root))}"]
    if "-m" in words:
        raise wrong_setting("open_data", "one data set is opened at a time", "-m", "leave -m out")
    [(settings, machine)] = read_jobs(parse(["run", *named, *_plain(words)]))
    return Data(Walk(settings, machine, patiently))


def compare_runs(folders: Sequence[str | PathLike[str]], words: Sequence[str]) -> Comparison:
    """Do what `medseg compare` with these folders and words does; without an `out=DIR` its files are not kept.

    Refuses what the command refuses.
    """
    tree = {"runs": [fspath(folder) for folder in folders], **plain_tree(_plain(words))}
    with TemporaryDirectory(prefix="medseg-compare-") as place, patiently():
        return compare_into(read_compare_settings({"out": place, **tree}))


def run(words: Sequence[str]) -> list[Run]:
    """Do what `medseg run` with these words does, and open the run, or each run of a sweep (`-m`).

    Refuses what the command refuses; a scan that fails stops nothing and is in `failed` of its run.
    """
    arguments = parse(["run", *_plain(words)])
    jobs = read_jobs(arguments)
    run_command(arguments, patiently)
    return [open_run(Path(machine.runs) / settings.name) for settings, machine in jobs]


def _plain(words: Sequence[str]) -> list[str]:
    """Refuse (exit 2) a word that is no setting: it would be taken for the name of another command."""
    for word in words:
        if "=" not in word and word != "-m":
            raise wrong_setting("words", "settings look like name=value", word, 'write them like "network=unet2d"')
    return list(words)
