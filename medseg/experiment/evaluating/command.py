"""The whole of `medseg evaluate`: find and pair the masks, score every case, write scores, summary and report."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from medseg.experiment.evaluating import keeping
from medseg.experiment.evaluating.case import Rules
from medseg.experiment.evaluating.keeping import Evaluation, Json
from medseg.experiment.evaluating.pairing import Pair
from medseg.experiment.evaluating.place import RECORD, opened, publish
from medseg.experiment.evaluating.scheme import check_coding, coding_remedy, scheme_of
from medseg.experiment.evaluating.scoring import look, picture, score_case, unscored
from medseg.experiment.evaluating.settings import EvaluateSettings
from medseg.experiment.evaluating.sharing import shared
from medseg.experiment.evaluating.sides import Line, Sides, find_sides, sources_of
from medseg.files.listing import folder_of
from medseg.pipeline.store import write_whole
from medseg.values.error import wrong_setting
from medseg.values.labels import LabelScheme
from medseg.values.machine import Machine

_LOST = "the true mask was not read: "


def evaluate(settings: EvaluateSettings, machine: Machine, line: Line) -> Evaluation:
    """Score all predictions and write everything into `settings.out`; `line` hears what is worth saying on the way.

    A case that cannot be scored stops no other; see `Evaluation.failed`. Refuses (exit 2) settings and folders that
    cannot be used, and predictions of which most hold labels that mean nothing in the truth; then nothing is written.
    """
    sides = find_sides(settings, line)
    out = Path(settings.out)
    with opened(out, [path for path in sources_of(settings) if path.is_dir()]) as draft:
        done = _scored(settings, sides, machine.workers or machine.readers)
        _write(done, draft)
        publish(draft, out)
    return done


def _scored(settings: EvaluateSettings, sides: Sides, workers: int) -> Evaluation:
    """Look at all true masks for their labels, then score every case whose truth could be read."""
    pairs, hidden = sides.pairs, tuple(folder_of(path).resolve() for path in sources_of(settings))
    seen = shared("truth", lambda number: look(pairs[number], settings, hidden), len(pairs), workers)
    looks = [_unread(_LOST + one) if isinstance(one, str) else one for one in seen]
    numbers = {number for one in looks for number in one["numbers"]}
    if all(one["failed"] for one in looks):
        first = f"{pairs[0].case}: {looks[0]['failed']}"
        raise wrong_setting(
            "truth", "has a mask that can be read", f"none; {first}", "mend the files, or check the path"
        )
    rules = Rules(scheme_of(settings, sides.truth, numbers), settings, hidden)
    check_coding(settings.labels, rules.scheme)
    todo = [number for number, one in enumerate(looks) if not one["failed"]]
    found = shared("score", lambda place: score_case(pairs[todo[place]], rules), len(todo), workers)
    outcomes = [_without_scores(pair, rules, str(one["failed"])) for pair, one in zip(pairs, looks, strict=True)]
    for number, one in zip(todo, found, strict=True):
        outcomes[number] = _without_scores(pairs[number], rules, one) if isinstance(one, str) else one
    _check_labels(pairs, outcomes, rules.scheme)
    return Evaluation(rules, sides.truth.layout, pairs, looks, outcomes, sides.extra)


def _check_labels(pairs: Sequence[Pair], outcomes: Sequence[Json], scheme: LabelScheme) -> None:
    """Refuse labels that mean nothing in the truth where most predictions hold some: that is another coding."""
    predicted = sum(pair.predicted is not None for pair in pairs)
    strange = [one["strange"] for one in outcomes if one["strange"]]
    if 2 * len(strange) <= predicted:
        return
    numbers = sorted({number for own in strange for number in own})
    value = f"{', '.join(map(str, numbers))} in {len(strange)} of {predicted} predictions"
    rule = f"predictions hold the labels of the truth, {list(scheme.values)}"
    raise wrong_setting("labels", rule, value, coding_remedy(numbers, scheme))


def _write(done: Evaluation, draft: Path) -> None:
    from medseg.stages.reporting.material import Background, Material
    from medseg.stages.reporting.writing import write_report

    background = Background(
        facts=keeping.facts(done),
        settings=keeping.settings_text(done.settings),
        provenance=keeping.provenance(done),
    )
    failed = done.failed
    drawable = {pair.case: pair for pair in done.pairs if pair.case not in failed}
    material = Material(
        scheme=done.rules.scheme,
        scores=done.scores,
        scans={case: partial(picture, pair, done.rules) for case, pair in drawable.items()},
        settings=done.settings.report,
        kind="evaluation",
        background=background,
    )
    write_report(draft, material)
    write_whole(draft / RECORD, keeping.record(done))


def _without_scores(pair: Pair, rules: Rules, why: str) -> Json:
    return {"scores": unscored(pair, rules, why), "strange": [], "sha256": {}}


def _unread(why: str) -> Json:
    return {"numbers": [], "sha256": None, "failed": why}
