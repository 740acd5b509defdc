"""What the guard says: the measure, what training had, and how far out the scan is."""

from __future__ import annotations

from collections.abc import Sequence

from medseg.ops.guard_measures import STEP
from medseg.ops.guard_usual import Usual
from medseg.ops.set_channels import RANGE
from medseg.values.finding import Finding

_NAMES = {
    "5 %": "5th percentile",
    "25 %": "25th percentile",
    "50 %": "median",
    "75 %": "75th percentile",
    "95 %": "95th percentile",
    "mean": "mean",
    "sd": "standard deviation",
}
_UNITS = {RANGE: "a range of {} (1st to 99th percentile in the body)", STEP: "intensities in steps of {}"}
_PLAIN = 1e7  # numbers below it are written out
_OF_RANGE = " of the way from the 1st to the 99th percentile"
_DIRECTIONS = ("left to right", "front to back", "top to bottom")


def warning(rule: str, value: str, remedy: str) -> Finding:
    """Make a finding of severity `warn`."""
    return Finding(severity="warn", rule=rule, value=value, remedy=remedy)


def about_lengths(what: str, lengths_mm: Sequence[float], usual: Sequence[Usual], excess: float) -> str:
    """Say lengths in mm beside usual ones, and the largest excess, in decades."""
    shown = " x ".join(f"{edge:.2f}" for edge in lengths_mm)
    known = " x ".join(_decades(one, 2) for one in usual)
    return f"{what} of {shown} mm; training had {known}: {times(10**excess)} times the nearest"


def about_unit(measure: str, decades: float, usual: Usual, excess: float) -> str:
    """Say the range of intensities, or the steps they come in, given as a decimal logarithm."""
    found, known = _UNITS[measure].format(_three_digits(10**decades)), _three_digits(10**usual.middle)
    spans = "; ".join(f"{_three_digits(10**one.low)} to {_three_digits(10**one.high)}" for one in usual.spans)
    return f"{found}; training had {known} ({spans}): {times(10**excess)} times the nearest"


def about_intensities(measure: str, value: float, usual: Usual, excess: float) -> str:
    """Say the worst of the measures of how intensities are spread."""
    if measure == "zeros":
        what = f"a share of zeros of {value:.2f}"
    elif measure == "offset":
        what = f"a 1st percentile of {value:.2f} times the range of intensities"
    else:
        what = f"a {_NAMES[measure]} at {value:.2f}{_OF_RANGE}"
    known = f"{usual.middle:.2f} ({'; '.join(f'{one.low:.2f} to {one.high:.2f}' for one in usual.spans)})"
    return f"{what}; training had {known}: {abs(excess):.2f} {'above' if excess > 0 else 'below'} the nearest"


def about_pose(letters: str) -> str:
    """Say what would be done to a scan whose axes run along `letters` and not to Right, Anterior and Superior."""
    pairs = ("RL", "AP", "SI")
    if all(letter in pair for letter, pair in zip(letters, pairs, strict=True)):
        mirrored = [name for letter, pair, name in zip(letters, pairs, _DIRECTIONS, strict=True) if letter == pair[1]]
        return f"mirrored {' and '.join(mirrored)}"
    return f"with axes that run to {', '.join(letters)} and not to R, A, S"


def times(ratio: float) -> str:
    """Write how many times: two digits below 1, one decimal up to 100, three digits above."""
    if ratio < 1:
        return f"{ratio:.2g}"
    return f"{ratio:.1f}" if ratio < 100 else _three_digits(ratio)


def _decades(usual: Usual, decimals: int) -> str:
    spans = "; ".join(f"{10**one.low:.{decimals}f} to {10**one.high:.{decimals}f}" for one in usual.spans)
    return f"{10**usual.middle:.{decimals}f} ({spans})"


def _three_digits(value: float) -> str:
    """Write a number with three digits, and not as a power of ten where people would not."""
    return f"{float(f'{value:.3g}'):.0f}" if 100 <= value < _PLAIN else f"{value:.3g}"
