"""The whole of `medseg compare`: read the runs, see that they can be compared, compare them, write what differs."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import medseg
from medseg.experiment.comparing.checking import check_scoring, common_ground, common_regions
from medseg.experiment.comparing.finding import find_folders
from medseg.experiment.comparing.grouping import Group, differing_settings, group_runs, one_experiment
from medseg.experiment.comparing.reading import ScoredRun, read_runs
from medseg.experiment.comparing.settings import CompareSettings
from medseg.experiment.comparing.telling import common_facts, failures, left_out, run_record
from medseg.experiment.comparing.writing import check_place, pair_record, spread_record, write_comparison
from medseg.ops.comparing.correcting import corrected
from medseg.ops.comparing.measures import compared_in, value_of
from medseg.ops.comparing.pairs import Pair, Scope, compare_sides
from medseg.ops.comparing.sides import Ground
from medseg.ops.scoring.rows import ALL
from medseg.report.compare_page import Compared, Known, compare_page
from medseg.values.error import wrong_setting
from medseg.values.progress import tell

Cell = tuple[str, str]
_MOST_NAMES = 5  # in the title


@dataclass(frozen=True, slots=True)
class Comparing:
    """What came of a command: where its page lies, and the sentences, those of a pair together."""

    page: Path
    sentences: tuple[str, ...]


def compare(settings: CompareSettings) -> Comparing:
    """Compare all runs and write compare.json and compare.html into `out`.

    Refuses (exit 2) fewer than two runs, runs on different scans, truths or rules of scoring, and names that none has.
    """
    folders = find_folders(settings.runs)
    if len(folders) < 2:
        found = str(folders[0]) if folders else "none"
        raise wrong_setting("runs", "two runs or more are compared", found, "name more, as runs=[A,B]")
    runs = read_runs(folders)
    check_scoring(runs)
    ground = common_ground(runs, settings.cases == "common")
    scope = Scope(ground, common_regions(runs, settings.regions), runs[0].tumour, settings.seed)
    cell = _headline(settings.measure, scope, runs)
    groups = group_runs(runs, settings.group == "seeds")
    couples = _couples(groups, settings.reference)
    out = Path(settings.out)
    check_place(out, folders)
    pairs = _compare(couples, scope)
    compared = _compared(groups, runs, pairs, scope, cell)
    page = write_comparison(out, _record(settings, groups, compared), compare_page(_title(groups), compared))
    return Comparing(page, tuple(_all_sentences(compared)))


def _headline(measure: str, scope: Scope, runs: Sequence[ScoredRun]) -> Cell:
    """Return the region and the measure of sentences and charts: the tumour region's where it has the measure.

    Refuses a measure that is not compared, and one without a value in any run.
    """
    known = list(dict.fromkeys(name for region in (scope.tumour, ALL) for name in compared_in(region)))
    if measure not in known:
        near = difflib.get_close_matches(measure, known, n=1)
        remedy = f"did you mean '{near[0]}'?" if near else "choose one of them"
        raise wrong_setting("measure", f"one of {', '.join(known)} is needed", f"'{measure}'", remedy)
    fit = [region for region in scope.regions if measure in compared_in(region)]
    ordered = sorted(fit, key=lambda region: region != scope.tumour)
    for region in ordered:
        if any(_is_told(run, scope.ground, (region, measure)) for run in runs):
            return region, measure
    remedy = "choose another measure, or score in a way that has it"
    raise wrong_setting("measure", "a measure that some scan has is needed", f"{measure}, which is empty", remedy)


def _is_told(run: ScoredRun, ground: Ground, cell: Cell) -> bool:
    rows = (run.scores.get((case, cell[0]), {}) for case in ground.cases)
    return any(value_of(row, cell[1]) is not None for row in rows)


def _couples(groups: Sequence[Group], reference: str) -> list[tuple[Group, Group]]:
    """Return every one with every other in their order, or the reference with each other; refuses an unknown one."""
    if not reference:
        return list(combinations(groups, 2))
    for first in groups:
        if reference in first.known_as:
            return [(first, other) for other in groups if other is not first]
    names = ", ".join(group.name for group in groups)
    raise wrong_setting("reference", f"one of {names} is needed", f"'{reference}'", "name one of the runs")


def _compare(couples: Sequence[tuple[Group, Group]], scope: Scope) -> list[Pair]:
    tell("compare", 0, len(couples), "pairs")
    pairs = []
    for done, (first, second) in enumerate(couples, start=1):
        pairs.append(compare_sides(first.side, second.side, scope))
        tell("compare", done, len(couples), "pairs")
    return corrected(pairs)


def _compared(
    groups: Sequence[Group], runs: Sequence[ScoredRun], pairs: Sequence[Pair], scope: Scope, cell: Cell
) -> Compared:
    known = Known(
        failed=[failures(group) for group in groups],
        apart=differing_settings(groups),
        left_out=left_out(runs, scope),
        facts=common_facts(runs, scope),
    )
    chance = one_experiment(runs)
    return Compared([group.side for group in groups], pairs, scope, cell, known, chance.side if chance else None)


def _title(groups: Sequence[Group]) -> str:
    names = [group.name for group in groups]
    if len(names) == 2:
        return f"{names[1]} against {names[0]}"
    return f"Comparison of {', '.join(names[:_MOST_NAMES])}{' and others' if len(names) > _MOST_NAMES else ''}"


def _all_sentences(compared: Compared) -> list[str]:
    """Return the sentences of one pair in full, of many pairs the first of each, and what seeds do."""
    lines = compared.sentences()
    told = lines[0] if len(lines) == 1 else [own[0] for own in lines]
    return [*told, *compared.seeds()]


def _record(settings: CompareSettings, groups: Sequence[Group], compared: Compared) -> dict[str, Any]:
    """Return compare.json: `regions` on top is that of the first pair."""
    pairs = [pair_record(pair) for pair in compared.pairs]
    told = settings.model_dump(mode="json", exclude={"debug"})
    return {
        "sentences": _all_sentences(compared),
        "region": compared.cell[0],
        "measure": compared.cell[1],
        "first": pairs[0]["first"],
        "second": pairs[0]["second"],
        "regions": pairs[0]["regions"],
        "pairs": pairs,
        "sides": [run_record(group) for group in groups],
        "seeds": [spread_record(side, compared.ground, compared.cell) for side in compared.seeded],
        "cases": list(compared.scope.ground.cases),
        "left_out": list(compared.known.left_out),
        "settings": told,
        "medseg": medseg.__version__,
    }
