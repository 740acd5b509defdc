"""What each command does."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from medseg.cli.arguments import Arguments
from medseg.cli.collector import collector_at_rest
from medseg.cli.compose import compose, sweep
from medseg.cli.display import Screen, clock, say, screen
from medseg.engines.ranks import current
from medseg.experiment.order import Chain
from medseg.experiment.outcome import STAGES, UNTIL, Outcome
from medseg.experiment.publish import facts, open_folder, publish, record, settings_in
from medseg.experiment.runner import Foreteller, Line, Unfinished
from medseg.experiment.settings import ExperimentSettings, read_settings
from medseg.experiment.showing import asked_batch, publish_batch, show_batch, without_batch
from medseg.experiment.together import runner_of
from medseg.pipeline.prune import Entry, entries, remove
from medseg.pipeline.store import Store, write_whole
from medseg.values.error import Refusal, wrong_setting
from medseg.values.finding import one_line, printable
from medseg.values.machine import Machine

Listen = Callable[[], AbstractContextManager[Screen]]


def run(arguments: Arguments, listen: Listen | None = None) -> int:
    """Do the experiment up to the command's stage; with -m, one after the other for each job of the sweep.

    `listen` opens what shows the progress, the terminal's screen unless given.
    """
    jobs, settings = jobs_of(arguments), read_jobs(arguments)
    until = UNTIL.get(arguments.command, arguments.command)
    codes = []
    for number, (own, machine) in enumerate(settings, start=1):
        with listen() if listen else screen(heard=current().leads) as shown:
            if len(jobs) > 1:
                shown.line(f"job {number} of {len(jobs)}: {' '.join(jobs[number - 1])}")
            codes.append(_run_one(own, machine, until, shown))
    return max(codes)


def jobs_of(arguments: Arguments) -> list[list[str]]:
    """Return the words of each job: one, or with -m those of the sweep."""
    return sweep(arguments.words) if arguments.multirun else [list(arguments.words)]


def read_jobs(arguments: Arguments) -> list[tuple[ExperimentSettings, Machine]]:
    """Turn the words of each job into the two roots; jobs of a sweep get names of their own."""
    jobs = jobs_of(arguments)
    return [read_words(arguments, job, name_of(job, jobs)) for job in jobs]


def plan(arguments: Arguments) -> int:
    """Print what a run would do, stage by stage, and what it will need."""
    from medseg.experiment.needs import needs

    _refuse_sweep(arguments)
    settings, machine = read_words(arguments, arguments.words, None)
    foretold = Foreteller(Store(Path(machine.store)))
    chain = Chain(settings, foretold, machine)
    stopped = ""
    try:
        chain.walk()
    except Unfinished as stage:
        stopped = str(stage)
    for text in _foretold_lines(foretold.lines, stopped):
        say(text)
    for text in needs(settings, chain.outcome, machine):
        say(text)
    return 0


def clean(arguments: Arguments) -> int:
    """List the store, or delete drafts, old results or everything."""
    _refuse_sweep(arguments)
    choices = [word for word in arguments.words if "=" not in word or word.startswith("older=")]
    words = [word for word in arguments.words if word not in choices]
    wanted = _choice(choices)
    _, machine = read_words(arguments, words, None)
    found = entries(Path(machine.store))
    for stage in sorted({entry.stage for entry in found}):
        own = [entry for entry in found if entry.stage == stage]
        say(f"{stage:12} {len(own):5} entries {sum(entry.size_mb for entry in own):10.1f} MB")
    if wanted is not None:
        named = [entry for entry in found if _matches(entry, wanted)]
        gone = [entry for entry in named if remove(entry)]
        busy = f"; {len(named) - len(gone)} are being worked on and stay" if len(gone) < len(named) else ""
        say(f"deleted {len(gone)} entries, {sum(entry.size_mb for entry in gone):.1f} MB{busy}")
    return 0


def name_of(job: Sequence[str], jobs: Sequence[Sequence[str]]) -> str | None:
    """Name the folder of one job of a sweep after the overrides in which the jobs differ; None for a single run."""
    if len(jobs) == 1:
        return None
    common = set(jobs[0]).intersection(*jobs[1:])
    parts = [re.sub(r"[^A-Za-z0-9._=+-]+", "_", word) for word in job if word not in common]
    return ",".join(parts)


def read_words(arguments: Arguments, words: Sequence[str], suffix: str | None) -> tuple[ExperimentSettings, Machine]:
    """Turn words of the command line into the two roots; `suffix` is added to the name of a job of a sweep."""
    with collector_at_rest():
        tree = compose(words, arguments.config_dir, arguments.config_name)
        if suffix and not any(word.startswith("name=") and "," in word for word in arguments.words):
            tree["name"] = f"{tree.get('name', 'experiment')}-{suffix}"
        return read_settings(tree)


def _run_one(settings: ExperimentSettings, machine: Machine, until: str, shown: Screen) -> int:
    step = asked_batch(settings, until)
    if step is not None:
        settings, until = without_batch(settings), "prepare"
    if not current().leads:
        return _follow(settings, machine, until, step)
    former = settings_in(settings, machine)
    folder = open_folder(settings, machine)
    told: set[str] = set()
    noted = facts(machine)
    runner = runner_of(current(), machine, noted, lambda line: tell_line(line, told, shown))
    chain = Chain(settings, runner, machine)
    picture, aside = None, step is not None
    try:
        chain.walk(until)
        if step is not None:
            picture = publish_batch(show_batch(chain, step), folder, step)
    except Refusal as refusal:
        aside = aside or refusal.exit_code == 2
        raise
    finally:
        reached = chain.outcome if until == "report" else _known(settings, machine)
        if aside and former and "train" not in reached.stages:
            # A mistyped setting, or a look at a batch, must not cost the model that an earlier command left here.
            write_whole(folder / "settings.yaml", former)
        else:
            chain.outcome.failed.update(publish(folder, reached, machine.write))
            record(folder, runner.lines, chain.outcome, settings, noted)
    return _finish(chain.outcome, picture or folder, until, shown)


def _follow(settings: ExperimentSettings, machine: Machine, until: str, step: int | None) -> int:
    """Do this process's part of an experiment; the leading process says what comes of it and keeps the record."""
    chain = Chain(settings, runner_of(current(), machine, {}, lambda line: None), machine)
    chain.walk(until)
    if step is not None:
        show_batch(chain, step)
    return _code(chain.outcome)


def _known(settings: ExperimentSettings, machine: Machine) -> Outcome:
    """Return all that lies finished in the store for these settings, also beyond the stage that was asked for."""
    chain = Chain(settings, Foreteller(Store(Path(machine.store))), machine)
    with suppress(Unfinished, Refusal):
        chain.walk()
    return chain.outcome


def tell_line(line: Line, told: set[str], shown: Screen) -> None:
    """One line per stage or failed case; of the many cases of a stage only the first speaks."""
    if line.status == "failed":
        shown.line(f"{line.stage:12} failed   {printable(line.case)}  {printable(line.because)}")
    elif not line.case or line.stage not in told:
        told.add(line.stage)
        detail = (
            f"{line.because}, {clock(line.seconds)}"
            if line.status == "run"
            else f"made before in {clock(line.seconds)}"
        )
        shown.line(f"{line.stage:12} {line.status:8} {'each case' if line.case else detail}")


def _finish(outcome: Outcome, folder: Path, until: str, shown: Screen) -> int:
    for finding in outcome.noticed:
        if finding.severity == "warn":
            shown.line(f"warning: {one_line(finding)}")
    for case, why in {**outcome.told, **outcome.failed}.items():
        shown.line(printable(f"error: {case}: {why.removeprefix(f'{case}: ')}"))
    report = folder / "report" / "report.html"
    say(str(report if until == "report" and report.is_file() else folder))
    return _code(outcome)


def _code(outcome: Outcome) -> int:
    return 1 if outcome.refused or outcome.failed else 0


def _foretold_lines(lines: Sequence[Line], stopped: str) -> list[str]:
    texts = []
    stages = [stage for stage in STAGES if any(line.stage == stage for line in lines)]
    for stage in stages:
        own = [line for line in lines if line.stage == stage]
        todo = [line for line in own if line.status == "run"]
        count = f" ({len(todo) or len(own)} of {len(own)} cases)" if own[0].case else ""
        seconds = clock(sum(line.seconds for line in own))
        texts.append(
            f"{stage:12} run{count}: {todo[0].because}"
            if todo
            else f"{stage:12} reuse{count}: made before in {seconds}"
        )
    if stopped:
        rest = STAGES[STAGES.index(stopped) + 1 :]
        texts.extend(f"{stage:12} run: after {stopped}" for stage in rest)
    return texts


def _refuse_sweep(arguments: Arguments) -> None:
    if arguments.multirun:
        raise wrong_setting(arguments.command, "sweeps are for run and the commands up to it", "-m", "leave -m out")


def _choice(choices: Sequence[str]) -> float | str | None:
    if not choices:
        return None
    if len(choices) == 1 and choices[0] in {"drafts", "all"}:
        return choices[0]
    if len(choices) == 1 and re.fullmatch(r"older=\d+(\.\d+)?", choices[0]):
        return float(choices[0].removeprefix("older="))
    raise wrong_setting(
        "clean", "drafts, all or older=DAYS can be deleted", " ".join(choices), "see medseg clean --help"
    )


def _matches(entry: Entry, wanted: float | str) -> bool:
    if isinstance(wanted, float):
        return entry.age_days > wanted
    return wanted == "all" or entry.draft
