"""Sentences for two runs: which is better, by how much, how sure that is, and what seeds alone do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medseg.ops.statistics.kinds import Kind, kind_of
from medseg.ops.statistics.paired import Comparison
from medseg.ops.statistics.seeds import Spread
from medseg.report.sentences.words import WORDS, amount, fixed, places_of
from medseg.report.wording import count, part

# A standard deviation with fewer degrees of freedom is barely known.
_FEW = 5


@dataclass(frozen=True, slots=True)
class Told:
    """A comparison as it is told: names of the two runs, the measure, and what seeds alone do to the difference.

    kind: of the measure as it was compared, where that is not `kind_of(measure)`.  noun: what each value belongs to.
    """

    names: tuple[str, str]
    measure: str = "dice"
    kind: Kind | None = None
    seeds_alone: float | None = None
    noun: str = "case"

    @property
    def better(self) -> str:
        """Which values are better: "higher", "lower" or "neither"."""
        return (self.kind or kind_of(self.measure)).better


def difference_sentence(found: Comparison, told: Told) -> str:
    """Say which run is better, by how much, and how sure that is.

    "better" is said only of a difference whose 95 % interval leaves out 0 and that is larger than what seeds alone do.
    """
    if found.difference is None:
        return f"{_both(told)} have no {told.noun} in common with a defined {_name(told)}, so nothing can be compared."
    if found.ties == found.n:
        return f"{_both(told)} have the same {_name(told)} {_everywhere(found, told)}.{_left_out(found, told)}"
    return f"{_verdict(found, found.difference, told)}.{_left_out(found, told)}"


def wins_sentence(found: Comparison, told: Told, p_holm: float | None = None) -> str:
    """Say how many cases the second run wins, and what the signed-rank test says; "" without a case."""
    if found.p is None:
        return ""
    first, second = told.names
    won = "wins" if told.better != "neither" else "has the larger value in"
    equal = f", {found.ties} {'is' if found.ties == 1 else 'are'} equal" if found.ties else ""
    wins = f"{second} {won} {part(found.wins, found.n)} against {first}{equal}"
    several = f", {_p(p_holm)} with all comparisons counted" if p_holm is not None and p_holm != found.p else ""
    judged = found.p if p_holm is None else p_holm
    doubt = " That is no evidence of a difference." if judged >= 0.05 else ""
    return f"{wins}; Wilcoxon's signed-rank test: {_p(found.p)}{several}.{doubt}"


def seeds_sentence(spread: Spread, moves: float | None, measure: str = "dice") -> str:
    """Say what nothing but another seed does to the mean of a run; `moves` is that of `seeds_move`, in the raw unit."""
    if spread.rerun_sd is None:
        return f"What seeds alone do to the result is not known: {count(spread.runs, 'run')}, never two on one fold."
    name, words, factor = WORDS[measure]
    if moves is None:
        apart = f"{amount(spread.rerun_sd * 2**0.5 * factor)} {words}"
        return f"Two runs with different seeds lie {apart} apart, which is too few of them to say what seeds alone do."
    moved = f"{amount(moves * factor)} {words}"
    text = (
        f"Over {count(spread.runs, 'run')} with {count(spread.seeds, 'seed')}, another seed alone changes the mean "
        f"{name} with a standard deviation of {amount(spread.rerun_sd * factor)}: two such runs lie within {moved} of "
        f"each other 95 % of the time"
    )
    if spread.freedom < _FEW:
        text += f", as far as {count(spread.runs, 'run')} can tell"
    folds = ""
    if spread.fold_sd is not None:
        folds = f" The fold adds a standard deviation of {amount(spread.fold_sd * factor)}."
    return f"{text}.{folds}"


def _verdict(found: Comparison, difference: float, told: Told) -> str:
    low, high = found.ci95
    if low is None or high is None:
        people = "" if found.subjects == found.n else f" of {count(found.subjects, 'subject')}"
        where = f"on {count(found.n, told.noun)}{people}"
        return f"{_lead(difference, told)} by {_points([difference], told)} {where}: too few for an interval"
    gap = f"{_points([difference, low, high], told)} on {count(found.n, told.noun)}"
    noise = _noise(told, _decimals([difference, low, high], told))
    beside = f"; {noise}" if noise else ""
    if low <= 0 <= high:
        return f"{_both(told)} cannot be told apart: {_which(difference, told)} {gap}{beside}"
    if told.seeds_alone is not None and abs(difference) <= told.seeds_alone:
        return f"{_lead(difference, told)} by {gap}, but {noise}: the difference may be luck of the seed"
    return f"{_lead(difference, told, sure=True)} by {gap}{beside}"


def _lead(difference: float, told: Told, sure: bool = False) -> str:
    """Begin a sentence with who leads: "B is better than A", "B is ahead of A", "The volume of B is larger ..."."""
    ahead, behind = _ordered(difference, told)
    if told.better == "neither":
        return f"The {_name(told)} of {ahead} is larger than that of {behind}"
    return f"{ahead} is better than {behind}" if sure else f"{ahead} is ahead of {behind}"


def _which(difference: float, told: Told) -> str:
    if difference == 0:
        return "on average they differ by"
    ahead, _ = _ordered(difference, told)
    return f"{ahead} is {'larger' if told.better == 'neither' else 'ahead'} by"


def _ordered(difference: float, told: Told) -> tuple[str, str]:
    """Return the names, first the one that is ahead: the better one, or the larger one."""
    first, second = told.names
    return (second, first) if (difference < 0) == (told.better == "lower") else (first, second)


def _points(numbers: Sequence[float], told: Told) -> str:
    """Write a difference from the side of who is ahead: "1.4 Dice points [0.9, 1.9]"."""
    _, words, factor = WORDS[told.measure]
    sign = -1 if numbers[0] < 0 else 1
    turned = [sign * factor * value for value in numbers]
    places = _decimals(numbers, told)
    gap = f"{fixed(turned[0], places)} {words}"
    if len(turned) == 1:
        return gap
    low, high = sorted(turned[1:])
    return f"{gap} [{fixed(low, places)}, {fixed(high, places)}]"


def _decimals(numbers: Sequence[float], told: Told) -> int:
    return places_of([WORDS[told.measure][2] * value for value in numbers])


def _noise(told: Told, places: int) -> str:
    """Say what seeds alone do, with the decimals of the difference where they do not make it 0."""
    if told.seeds_alone is None:
        return ""
    moved = told.seeds_alone * WORDS[told.measure][2]
    text = fixed(moved, places)
    return f"seeds alone move it by {text if float(text) or not moved else amount(moved)}"


def _both(told: Told) -> str:
    return f"{told.names[1]} and {told.names[0]}"


def _name(told: Told) -> str:
    return WORDS[told.measure][0]


def _everywhere(found: Comparison, told: Told) -> str:
    return f"on the only {told.noun}" if found.n == 1 else f"on each of {count(found.n, told.noun)}"


def _left_out(found: Comparison, told: Told) -> str:
    if not found.undefined:
        return ""
    verb = "has" if found.undefined == 1 else "have"
    return f" {count(found.undefined, told.noun)} {verb} no defined value in one of the two, and no part in it."


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
