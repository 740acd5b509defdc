"""What is known of compared runs beside their scores: who failed where, what takes no part, how all were scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medseg.experiment.comparing.grouping import Group, chance_of
from medseg.experiment.comparing.reading import ScoredRun
from medseg.ops.comparing.pairs import Scope
from medseg.report.wording import count

_EXAMPLES = 5


def failures(group: Group) -> dict[str, str]:
    """Return why predictions of a group failed, by scan; of several runs each reason has the name of its run."""
    found: dict[str, list[str]] = {}
    for run in group.runs:
        for case, reason in run.failed.items():
            found.setdefault(case, []).append(reason if len(group.runs) == 1 else f"{run.name}: {reason}")
    return {case: "; ".join(reasons) for case, reasons in sorted(found.items())}


def left_out(runs: Sequence[ScoredRun], scope: Scope) -> list[str]:
    """Say which scans and regions of which runs take no part."""
    lines = []
    for run in runs:
        cases = sorted(run.cases - set(scope.ground.cases))
        if cases:
            verb = "is" if len(cases) == 1 else "are"
            lines.append(f"{count(len(cases), 'scan')} of {run.name} {verb} not in all runs: {_listed(cases)}.")
        regions = [region for region in run.regions if region not in scope.regions]
        if regions:
            lines.append(f"Regions of {run.name} that are not compared: {', '.join(regions)}.")
    return lines


def common_facts(runs: Sequence[ScoredRun], scope: Scope) -> list[tuple[str, str]]:
    """Say what all runs have in common: scans, people, the tumour region, how they were scored."""
    ground = scope.ground
    facts = [
        ("Scans", f"{len(ground.cases)}, of {count(len(set(ground.subjects)), 'patient')}"),
        ("Tumour region", scope.tumour),
    ]
    scoring = next((run.scoring for run in runs if run.scoring is not None), None)
    if scoring is not None:
        facts += [(f"Scored with {name}", str(value)) for name, value in scoring.items()]
    unknown = [run.name for run in runs if run.scoring is None]
    if unknown:
        facts.append(("Rules of scoring not recorded", ", ".join(unknown)))
    return facts


def run_record(group: Group) -> dict[str, Any]:
    """Return a side as compare.json names it: its runs with folder, seed and fold, and what failed."""
    return {"name": group.name, "runs": [_one(run) for run in group.runs], "failed": failures(group)}


def _one(run: ScoredRun) -> Mapping[str, Any]:
    seed, fold = chance_of(run)
    return {"name": run.name, "folder": str(run.folder), "seed": seed, "fold": fold, "scans": len(run.cases)}


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _EXAMPLES} more" if len(names) > _EXAMPLES else ""
    return ", ".join(names[:_EXAMPLES]) + more
