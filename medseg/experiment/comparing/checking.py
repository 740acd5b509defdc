"""May these runs be compared? The same scans, truth and rules of scoring are needed; else it is said what differs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from medseg.experiment.comparing.reading import ScoredRun
from medseg.ops.comparing.sides import Ground
from medseg.ops.scoring.rows import UNKNOWN
from medseg.values.error import Refusal, wrong_setting
from medseg.values.finding import printable

# Volumes of the same mask may differ by the rounding of the spacing in a file's header.
_SAME_VOLUME = 1e-6
_EXAMPLES = 3
_MOST_RUNS = 4


def check_scoring(runs: Sequence[ScoredRun]) -> None:
    """Refuse (exit 2) runs that are not scored by the same settings, or that call another region the tumour."""
    first = runs[0]
    for other in runs[1:]:
        if other.tumour != first.tumour:
            value = f"{first.tumour} in {first.name}, {other.tumour} in {other.name}"
            remedy = "score both folders of masks with medseg evaluate and the same tumour="
            raise _differing("all name the same region as tumour", value, remedy)
    known = [run for run in runs if run.scoring is not None]
    for other in known[1:]:
        _check_settings(known[0], other)


def _check_settings(first: ScoredRun, other: ScoredRun) -> None:
    ours, theirs = first.scoring or {}, other.scoring or {}
    for name, value in ours.items():
        if theirs.get(name) != value:
            told = f"{name} {value} in {first.name}, {theirs.get(name)} in {other.name}"
            remedy = f"run one of them again with score.{name}, or evaluate with {name}, as in the other"
            raise _differing("all are scored by the same rules", told, remedy)


def common_ground(runs: Sequence[ScoredRun], only_common: bool) -> Ground:
    """Return the scans that all runs have scored, in the order of their names.

    Refuses (exit 2) runs with different scans unless `only_common`, runs without a common one, and runs that were
    scored against different truths. People behind the scans come from the run that knows most scans to be of one.
    """
    cases = frozenset.intersection(*(run.cases for run in runs))
    if not cases or (any(run.cases != cases for run in runs) and not only_common):
        raise _other_scans(runs, cases)
    _check_truth(runs, sorted(cases))
    ordered = tuple(sorted(cases))
    people = min((_people(run) for run in runs), key=lambda found: len({found[case] for case in ordered}))
    cohorts = _cohorts(runs[0])
    return Ground(ordered, tuple(people[case] for case in ordered), tuple(cohorts[case] for case in ordered))


def common_regions(runs: Sequence[ScoredRun], wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the regions that every run has, those wanted where any are; refuses (exit 2) others."""
    common = tuple(region for region in runs[0].regions if all(region in run.regions for run in runs))
    if not common:
        raise _differing("all have a region in common", "none", "score them with the same regions")
    for region in wanted:
        if region not in common:
            rule = f"one of {', '.join(common)} is needed"
            raise wrong_setting("regions", rule, region, "name regions that every run has")
    return tuple(region for region in common if not wanted or region in wanted)


def _differing(rule: str, value: str, remedy: str) -> Refusal:
    return wrong_setting("runs", rule, printable(value), remedy)


def _other_scans(runs: Sequence[ScoredRun], common: frozenset[str]) -> Refusal:
    counts = ", ".join(f"{len(run.cases)} in {run.name}" for run in runs[:_MOST_RUNS])
    if len(runs) > _MOST_RUNS:
        counts += f" and others in {len(runs) - _MOST_RUNS} more runs"
    extra = [f"{_examples(run.cases - common)} not in all but in {run.name}" for run in runs if run.cases - common]
    remedy = "give all runs one list of cases: split.held_out=FILE"
    if common:
        remedy = f"compare on the {len(common)} that all have with cases=common, or {remedy}"
    value = f"{counts}, {len(common)} in all of them; {'; '.join(extra[:_EXAMPLES])}"
    return _differing("all have scored the same scans", value, remedy)


def _examples(cases: frozenset[str]) -> str:
    names = sorted(cases)
    more = f" and {len(names) - _EXAMPLES} more" if len(names) > _EXAMPLES else ""
    return ", ".join(names[:_EXAMPLES]) + more


def _check_truth(runs: Sequence[ScoredRun], cases: Sequence[str]) -> None:
    """Refuse runs in which one scan has different truths: another volume, or tumour in one and none in another."""
    cohorts = [_cohorts(run) for run in runs]
    for other, theirs in zip(runs[1:], cohorts[1:], strict=True):
        odd = [told for case in cases if (told := _other_cohort((runs[0], other), (cohorts[0], theirs), case))]
        odd += [told for case in cases if (told := _other_volume(runs[0], other, case))]
        if odd:
            more = f", and {len(odd) - 1} more" if len(odd) > 1 else ""
            remedy = "score both folders of masks against one truth with medseg evaluate"
            raise _differing("all are scored against the same truth", odd[0] + more, remedy)


def _other_cohort(runs: tuple[ScoredRun, ScoredRun], cohorts: tuple[Mapping[str, str], ...], case: str) -> str:
    """Say how the cohorts of a scan differ between two runs; "" where they do not."""
    mine, theirs = (found[case] for found in cohorts)
    return "" if mine == theirs else f"{case} of cohort {mine} in {runs[0].name} and {theirs} in {runs[1].name}"


def _other_volume(first: ScoredRun, other: ScoredRun, case: str) -> str:
    """Say how the true volumes of a scan differ between two runs; "" where they do not, or are not known."""
    for region in first.regions:
        a, b = (run.scores.get((case, region), {}).get("volume_truth_ml") for run in (first, other))
        if not isinstance(a, (int, float)) or not isinstance(b, (int, float)):
            continue
        if not math.isclose(a, b, rel_tol=_SAME_VOLUME, abs_tol=1e-9):
            return f"{region} of {case} with {a:.6g} ml in {first.name} and {b:.6g} ml in {other.name}"
    return ""


def _people(run: ScoredRun) -> Mapping[str, str]:
    return {case: str(row.get("subject") or case) for (case, _), row in run.scores.items()}


def _cohorts(run: ScoredRun) -> Mapping[str, str]:
    return {case: str(row.get("cohort") or UNKNOWN) for (case, _), row in run.scores.items()}
