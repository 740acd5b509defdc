"""The command `check`: the data doctor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medseg.cli.arguments import Arguments
from medseg.cli.commands import read_words, tell_line
from medseg.cli.display import Screen, say, screen
from medseg.experiment.checking import check as examine
from medseg.experiment.checking import open_place, publish_check
from medseg.experiment.order import Chain
from medseg.experiment.outcome import Outcome
from medseg.experiment.publish import facts
from medseg.experiment.runner import Runner
from medseg.pipeline.store import Store
from medseg.values.error import wrong_setting
from medseg.values.finding import one_line, printable

_MOST_LINES = 20


def check(arguments: Arguments) -> int:
    """Look at every scan, write check.json and check.html, and return 1 where a scan is refused, else 0.

    They go to the folder of the run, or to DIR with `out=DIR`.
    """
    out, words = _out(arguments)
    settings, machine = read_words(arguments, words, None)
    folder, setting = (out, "out") if out else (Path(machine.runs) / settings.name, "machine.runs")
    open_place(folder, setting)
    told: set[str] = set()
    with screen() as shown:
        runner = Runner(Store(Path(machine.store)), machine, facts(machine), lambda line: tell_line(line, told, shown))
        chain = Chain(settings, runner, machine)
        finished = examine(chain, _typed(arguments))
        page = publish_check(finished, folder, setting)
        _summarise(chain.outcome, shown)
    say(str(page))
    return 1 if chain.outcome.refused else 0


def _out(arguments: Arguments) -> tuple[Path | None, list[str]]:
    """Take `out=DIR` out of the words; refuses (exit 2) an empty or a second one, and sweeps."""
    given = [word.partition("=")[2] for word in arguments.words if word.startswith("out=")]
    if len(given) > 1 or "" in given:
        raise wrong_setting("out", "one folder is needed", ", ".join(given), "write out=DIR once")
    if arguments.multirun:
        raise wrong_setting("check", "one data set is checked at a time", "-m", "leave -m out")
    words = [word for word in arguments.words if not word.startswith("out=")]
    return (Path(given[0]) if given else None), words


def _typed(arguments: Arguments) -> list[str]:
    if arguments.config_dir is None:
        return list(arguments.words)
    return [f"--config-dir={arguments.config_dir}", f"--config-name={arguments.config_name}", *arguments.words]


def _summarise(outcome: Outcome, shown: Screen) -> None:
    """Tell warnings about the set and refused scans, a line each, and then how many scans can be used."""
    for finding in outcome.noticed:
        if finding.severity == "warn":
            shown.line(f"warning: {one_line(finding)}")
    reasons = _lines(outcome)
    for line in reasons[:_MOST_LINES]:
        shown.line(line)
    if len(reasons) > _MOST_LINES:
        shown.line(f"  and {len(reasons) - _MOST_LINES} more refused scans, see check.html")
    usable = outcome.cases - len(outcome.refused)
    shown.line(f"{usable} of {outcome.cases} scans can be used, {len(outcome.refused)} refused")


def _lines(outcome: Outcome) -> Sequence[str]:
    return [printable(f"error: {case}: {why.removeprefix(f'{case}: ')}") for case, why in outcome.told.items()]
