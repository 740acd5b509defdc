"""The command `evaluate`: any two folders of masks, held against each other."""

from __future__ import annotations

from medseg.cli.arguments import Arguments
from medseg.cli.collector import collector_at_rest
from medseg.cli.compose import plain_tree
from medseg.cli.display import Screen, say, screen
from medseg.experiment.evaluating.command import evaluate as score
from medseg.experiment.evaluating.keeping import Evaluation
from medseg.experiment.evaluating.place import PAGE
from medseg.experiment.evaluating.settings import read_evaluate_settings
from medseg.values.error import wrong_setting
from medseg.values.finding import printable

_TEXTS = ("predictions", "truth", "out", "images", "probabilities", "subjects", "cases", "suffix", "truth_suffix")
_MOST_LINES = 20


def evaluate(arguments: Arguments) -> int:
    """Score every prediction, print where report.html lies, and return 1 where one is missing or cannot be scored."""
    if arguments.multirun or arguments.config_dir is not None:
        rule = "masks are evaluated by the settings on the command line"
        raise wrong_setting("evaluate", rule, "-m or --config-dir", "leave it out")
    with collector_at_rest():
        settings, machine = read_evaluate_settings(plain_tree(arguments.words, _TEXTS))
    with screen() as shown:
        done = score(settings, machine, lambda text: shown.line(printable(text)))
        _summarise(done, shown)
    say(f"{settings.out.rstrip('/')}/{PAGE}")
    return 1 if done.failed else 0


def _summarise(done: Evaluation, shown: Screen) -> None:
    """Tell what was done otherwise than asked for, why predictions failed, and how many were scored."""
    notes = [f"warning: {one['case']}: {note}" for one in done.scores for note in one["notes"]]
    reasons = [f"error: {case}: {why}" for case, why in done.failed.items()]
    for lines in (notes, reasons):
        for line in lines[:_MOST_LINES]:
            shown.line(printable(line))
        if len(lines) > _MOST_LINES:
            shown.line(f"  and {len(lines) - _MOST_LINES} more like these, see {PAGE}")
    scans, without = len(done.pairs), len(done.failed)
    shown.line(f"{scans - without} of {scans} predictions are scored, {without} failed or missing")
