"""What `medseg compare` says of two sides, as people read it."""

from __future__ import annotations

from medseg.ops.comparing.pairs import ILL, Difference, HealthyScans, Pair, Scope
from medseg.ops.comparing.sides import Ground, Side
from medseg.ops.scoring.rows import ALL
from medseg.ops.statistics.seeds import seeds_move
from medseg.report.sentences.differences import Told, difference_sentence, seeds_sentence, wins_sentence
from medseg.report.sentences.words import WORDS
from medseg.report.wording import count, region_title, tissue

ALL_CLASSES = "all classes"


def title_of(region: str, tumour: str) -> str:
    """Name a region of the comparison in a heading."""
    return ALL_CLASSES if region == ALL else region_title(region, tumour)


def headline_of(pair: Pair, scope: Scope, region: str, measure: str) -> tuple[Difference | None, Ground]:
    """Return a difference and its scans: of the tumour region that on scans with tumour, of any other that on all.

    None where no scan has a value on either side.
    """
    if region == scope.tumour:
        return pair.tumour.get(measure), scope.ground.only(ILL)
    return pair.regions.get(region, {}).get(measure), scope.ground


def pair_sentences(pair: Pair, scope: Scope, region: str, measure: str, several: bool = False) -> list[str]:
    """Say what differs: in the region of the headline with a test, in the other regions, and on healthy scans.

    several: there are more pairs than this one, so that p is also told after Holm.
    """
    found, scans = headline_of(pair, scope, region, measure)
    if found is None:
        return [f"No {_noun(scans, scope)} has a defined {WORDS[measure][0]} in {pair.first} or {pair.second}."]
    told = _told(pair, found, measure, _noun(scans, scope))
    others = _other_regions(pair, scope, region, measure)
    start = f"{_sentence_start(region, scope.tumour)}: " if others else ""
    lines = [start + difference_sentence(found.found, told)]
    lines += [wins_sentence(found.found, told, found.p_holm if several else None), *others]
    if pair.healthy is not None:
        lines += healthy_sentences(pair, pair.healthy, scope.tumour)
    return [line for line in lines if line]


def healthy_sentences(pair: Pair, found: HealthyScans, tumour: str) -> list[str]:
    """Say on how many healthy scans each side marks nothing, and how the volumes differ that they mark there."""
    scans = count(found.n, "healthy scan")
    clean = [_amount(number) for number in found.clean]
    first = f"On {scans} {pair.first} marks no {tumour} in {clean[0]}, {pair.second} in {clean[1]}."
    told = _told(pair, found.false_ml, "false_positive_ml", "healthy scan")
    return [first, difference_sentence(found.false_ml.found, told)]


def seeds_line(side: Side, ground: Ground, cell: tuple[str, str]) -> str:
    """Say how far runs of one side lie apart by their seeds alone, headed by its name."""
    spread = side.spread(ground, *cell)
    return f"{side.name}: {seeds_sentence(spread, seeds_move([spread]), cell[1])}"


def verdict(pair: Pair, one: Difference) -> str:
    """Name the side that is better, with "or luck" where seeds do as much; "" where the interval holds 0."""
    low, high = one.found.ci95
    if low is None or high is None or one.found.difference is None or low <= 0 <= high:
        return ""
    better = pair.second if (one.found.difference > 0) == (one.kind.better == "higher") else pair.first
    lucky = one.seeds_alone is not None and abs(one.found.difference) <= one.seeds_alone
    return f"{better}, or luck" if lucky else better


def _other_regions(pair: Pair, scope: Scope, region: str, measure: str) -> list[str]:
    lines = []
    for name in scope.regions:
        found, scans = headline_of(pair, scope, name, measure)
        if name != region and found is not None:
            told = _told(pair, found, measure, _noun(scans, scope))
            lines.append(f"{_sentence_start(name, scope.tumour)}: {difference_sentence(found.found, told)}")
    return lines


def _sentence_start(region: str, tumour: str) -> str:
    title = title_of(region, tumour)
    return title[:1].upper() + title[1:] if title in (ALL_CLASSES, tissue(tumour)) else title


def _told(pair: Pair, one: Difference, measure: str, noun: str) -> Told:
    return Told((pair.first, pair.second), measure, one.kind, one.seeds_alone, noun)


def _noun(scans: Ground, scope: Scope) -> str:
    return "scan" if scans == scope.ground else "tumour scan"


def _amount(number: float) -> str:
    """Write a count, or a mean of counts with one decimal."""
    if number == 0:
        return "none"
    return f"{number:.0f}" if number == int(number) else f"{number:.1f} on average over its runs"
