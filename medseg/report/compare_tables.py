"""What the tables of a comparison say, cell by cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from medseg.ops.comparing.measures import compared_kind
from medseg.ops.comparing.pairs import Difference, Differences, Pair, Scope
from medseg.ops.comparing.sides import Ground, Side
from medseg.ops.statistics.summaries import summarise_values
from medseg.report.compare_charts import Change
from medseg.report.compare_wording import title_of, verdict
from medseg.report.sentences.words import WORDS
from medseg.report.wording import MINUS, UNDEFINED, Cells, interval, number
from medseg.values.finding import printable

Cell = tuple[str, str]  # region and measure
MOST_CHANGED = 8
_COUNTED = frozenset({"false_lesions", "lesions_found"})


def unit_of(measure: str) -> str:
    """Return how values of a measure are written: as share, mm or ml; means of counts are written like lengths."""
    return "mm" if measure in _COUNTED else next((u for u in ("mm", "ml") if measure.endswith(f"_{u}")), "share")


def name_of(measure: str) -> str:
    """Name a measure with its unit, as a heading."""
    name, unit = WORDS[measure][0], next((u for u in ("mm", "ml") if measure.endswith(f"_{u}")), "")
    size = "size of the " if measure == "volume_error_ml" else ""
    title = f"{size}{name}{f', {unit}' if unit else ''}"
    return title[:1].upper() + title[1:]


def sides_table(sides: Sequence[Side], failed: Sequence[int], scope: Scope, ground: Ground, cell: Cell) -> list[Cells]:
    """Say how each side does by itself; `failed` counts failed predictions over the runs of each."""
    lines = []
    for side, broken in zip(sides, failed, strict=True):
        found = summarise_values(
            side.values(ground, *cell), ground.subjects, scope.seed, "compare", *cell, kind=compared_kind(cell[1])
        )
        unit = unit_of(cell[1])
        lines.append(
            {
                "name": printable(side.name),
                "runs": len(side.members),
                "mean": number(found.mean, unit),
                "interval": interval(found.ci95, unit),
                "median": number(found.median, unit),
                "n": found.n,
                "undefined": found.undefined,
                "failed": broken,
            }
        )
    return lines


def members_table(side: Side, ground: Ground, cell: Cell) -> list[Cells]:
    """Say what each run of a side comes to, by its seed and fold."""
    lines = []
    for member in side.members:
        known = [value for value in member.values(ground, *cell) if value is not None]
        mean = sum(sorted(known)) / len(known) if known else None
        fold = UNDEFINED if member.fold is None else str(member.fold)
        name, text = printable(side.name), number(mean, unit_of(cell[1]))
        lines.append({"name": name, "seed": member.seed, "fold": fold, "mean": text, "n": len(known)})
    return lines


def measures_of_pair(pair: Pair, scope: Scope) -> list[Cells]:
    """List every difference of a pair, in groups: the tumour region on scans with tumour, then each region on all."""
    groups = []
    if pair.tumour and pair.tumour != pair.regions.get(scope.tumour):
        groups.append(_group(f"{scope.tumour}, on scans with {scope.tumour}", pair, pair.tumour))
    for region, own in pair.regions.items():
        title = title_of(region, scope.tumour)
        groups.append(_group(title if len(groups) == 0 else f"{title}, on all scans", pair, own))
    if pair.healthy is not None:
        groups.append(_group("healthy scans", pair, {"false_positive_ml": pair.healthy.false_ml}))
    return [group for group in groups if group["rows"]]


def cell_of(one: Difference, measure: str) -> tuple[str, str]:
    """Write a difference with its sign, and its interval."""
    unit = unit_of(measure)
    return _signed(one.found.difference, unit), interval(one.found.ci95, unit)


def changes(first: Side, second: Side, ground: Ground, cell: Cell, failed: Sequence[frozenset[str]]) -> list[Change]:
    """Return the scans where both sides have a value; `failed` are those with a failed prediction, on each side."""
    sign = 1 if compared_kind(cell[1]).better == "higher" else -1
    unit, found = unit_of(cell[1]), []
    for case, a, b in zip(ground.cases, first.values(ground, *cell), second.values(ground, *cell), strict=True):
        if a is not None and b is not None:
            broken = [side.name for side, own in zip((first, second), failed, strict=True) if case in own]
            words = f"{printable(case)}: {number(a, unit)}, then {number(b, unit)}"
            words += f"; failed in {' and '.join(map(printable, broken))}" if broken else ""
            found.append(Change(printable(case), a, b, sign * (b - a), words, bool(broken)))
    return found


def most_changed(found: Iterable[Change], measure: str) -> list[Cells]:
    """List the scans that lost most and those that gained most, those with the largest change first."""
    unit = unit_of(measure)
    ordered = sorted((one for one in found if one.gain != 0), key=lambda one: (-abs(one.gain), one.case))
    parts = (("Worse in the second", -1), ("Better in the second", 1))
    return [
        {
            "heading": heading,
            "rows": [
                {
                    "case": one.case,
                    "first": number(one.first, unit),
                    "second": number(one.second, unit),
                    "change": _signed(one.second - one.first, unit),
                    "remark": "failed" if one.failed else "",
                }
                for one in [one for one in ordered if one.gain * sign > 0][:MOST_CHANGED]
            ],
            "more": max(0, sum(one.gain * sign > 0 for one in ordered) - MOST_CHANGED),
        }
        for heading, sign in parts
    ]


def scans_table(sides: Sequence[Side], ground: Ground, cell: Cell, remarks: Sequence[str]) -> Cells:
    """List every scan with its value on each side and how far these lie apart; `remarks` in the order of the scans."""
    unit = unit_of(cell[1])
    columns = [side.values(ground, *cell) for side in sides]
    rows = []
    for case, cohort, remark, *values in zip(ground.cases, ground.cohorts, remarks, *columns, strict=True):
        defined = [value for value in values if value is not None]
        apart = max(defined) - min(defined) if len(defined) == len(values) else None
        figures = [{"text": number(v, unit), "sort": "" if v is None else repr(v)} for v in (*values, apart)]
        rows.append({"case": printable(case), "cohort": cohort, "figures": figures, "remark": remark})
    return {"heads": [printable(side.name) for side in sides], "rows": rows, "remarks": any(remarks)}


def _group(title: str, pair: Pair, own: Differences) -> Cells:
    return {"title": title, "rows": [_line(pair, measure, one) for measure, one in own.items()]}


def _line(pair: Pair, measure: str, one: Difference) -> Cells:
    unit, found = unit_of(measure), one.found
    difference, ends = cell_of(one, measure)
    return {
        "name": name_of(measure),
        "first": number(one.means[0], unit),
        "second": number(one.means[1], unit),
        "difference": difference,
        "interval": ends,
        "better": printable(verdict(pair, one)),
        "p": _p(found.p),
        "p_holm": _p(one.p_holm),
        "wins": f"{found.wins} / {found.ties} / {found.losses}",
        "n": found.n,
        "undefined": found.undefined,
        "seeds": UNDEFINED if one.seeds_alone is None else number(one.seeds_alone, unit),
    }


def _signed(value: float | None, unit: str) -> str:
    text = number(value, unit)
    return f"+{text}" if value is not None and value > 0 and not text.startswith(("<", MINUS)) else text


def _p(value: float | None) -> str:
    if value is None:
        return UNDEFINED
    return "<0.001" if value < 0.001 else f"{value:.3f}"
