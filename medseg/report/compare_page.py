"""The page of a comparison: sentences first, then how sure they are, then every scan; one HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medseg.ops.comparing.pairs import Pair, Scope
from medseg.ops.comparing.sides import Ground, Side
from medseg.report.compare_charts import change_chart, slope_chart
from medseg.report.compare_tables import (
    Cell,
    changes,
    measures_of_pair,
    members_table,
    most_changed,
    name_of,
    scans_table,
    sides_table,
)
from medseg.report.compare_wording import headline_of, pair_sentences, seeds_line, title_of
from medseg.report.templates import environment
from medseg.report.wording import Cells, count
from medseg.values.finding import printable

Facts = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known beside the scores.

    failed: reasons of failed predictions by scan, for each side.  apart: settings that differ, with a value per side.
    left_out: sentences on what takes no part.  facts: how all of them were scored, by name.
    """

    failed: Sequence[Mapping[str, str]]
    apart: Sequence[tuple[str, Sequence[str]]] = ()
    left_out: Sequence[str] = ()
    facts: Facts = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """A whole comparison: the sides, the pairs of them, and the region and measure that sentences and charts are about.

    `chance`: all sides are one experiment with different seeds, compared run by run.
    """

    sides: Sequence[Side]
    pairs: Sequence[Pair]
    scope: Scope
    cell: Cell
    known: Known
    chance: Side | None = None

    def place(self, name: str) -> int:
        """Return which of the sides has a name."""
        return [side.name for side in self.sides].index(name)

    def sentences(self) -> list[list[str]]:
        """Return what is to be said of each pair."""
        several = len(self.pairs) > 1
        return [pair_sentences(pair, self.scope, *self.cell, several=several) for pair in self.pairs]

    @property
    def seeded(self) -> list[Side]:
        """The sides of several runs."""
        return [self.chance] if self.chance else [side for side in self.sides if len(side.members) > 1]

    @property
    def ground(self) -> Ground:
        """The scans that sentences and charts are about."""
        return headline_of(self.pairs[0], self.scope, *self.cell)[1]

    def seeds(self) -> list[str]:
        """Say what seeds alone do, for each side of several runs."""
        return [seeds_line(side, self.ground, self.cell) for side in self.seeded]


def compare_page(title: str, compared: Compared) -> str:
    """Render the page; the same comparison gives the same text, and everything in it is escaped."""
    scope, cell, known, ground = compared.scope, compared.cell, compared.known, compared.ground
    failed = [sum(case in ground.cases for case in own) for own in known.failed]
    return (
        environment()
        .get_template("compare.html")
        .render(
            title=printable(title),
            headline=[printable(lines[0]) for lines in compared.sentences()],
            measure=name_of(cell[1]),
            region=title_of(cell[0], scope.tumour),
            scans=count(len(ground.cases), "scan"),
            sides=sides_table(compared.sides, failed, scope, ground, cell),
            pairs=[_pair(compared, number) for number in range(len(compared.pairs))],
            seeds=[printable(line) for line in compared.seeds()],
            members=[line for side in compared.seeded for line in members_table(side, ground, cell)],
            table=scans_table(compared.sides, scope.ground, cell, _remarks(compared)),
            failed=_failures(compared),
            apart=[(name, [printable(value) for value in values]) for name, values in known.apart],
            left_out=[printable(line) for line in known.left_out],
            facts=[(name, printable(value)) for name, value in known.facts],
        )
    )


def _pair(compared: Compared, number: int) -> Cells:
    pair, cell, scope = compared.pairs[number], compared.cell, compared.scope
    places = [compared.place(name) for name in (pair.first, pair.second)]
    first, second = (compared.sides[place] for place in places)
    found, ground = headline_of(pair, scope, *cell)
    failed = [frozenset(compared.known.failed[place]) for place in places]
    changed = changes(first, second, ground, cell, failed)
    names = (printable(pair.first), printable(pair.second))
    charts = []
    if changed and found is not None and found.found.difference is not None:
        level = (found.found.difference, *found.found.ci95)
        charts = [slope_chart(changed, names, name_of(cell[1])), change_chart(changed, level, name_of(cell[1]))]
    return {
        "first": names[0],
        "second": names[1],
        "sentences": [printable(line) for line in compared.sentences()[number]],
        "groups": measures_of_pair(pair, scope),
        "charts": charts,
        "changed": most_changed(changed, cell[1]),
    }


def _remarks(compared: Compared) -> list[str]:
    """Say of each scan in which sides its prediction failed."""
    remarks = []
    for case in compared.scope.ground.cases:
        broken = [s.name for s, own in zip(compared.sides, compared.known.failed, strict=True) if case in own]
        remarks.append(printable(f"failed in {', '.join(broken)}") if broken else "")
    return remarks


def _failures(compared: Compared) -> list[Cells]:
    return [
        {"case": printable(case), "side": printable(side.name), "reason": printable(reason)}
        for side, own in zip(compared.sides, compared.known.failed, strict=True)
        for case, reason in sorted(own.items())
    ]
