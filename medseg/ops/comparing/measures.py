"""Which measures are compared, and what is better in each."""

from __future__ import annotations

from math import inf

from medseg.ops.scoring.rows import Row, columns, measures_of
from medseg.ops.statistics.kinds import Kind, kind_of

# The size of an error of volume is compared; the errors of two runs on either side of zero would hide each other.
_SIZES = frozenset({"volume_error_ml"})
# What a failed prediction is worth where its row has a Dice and nothing else: the worst of each share.
_SHARES = frozenset({"iou", "sensitivity", "precision", "specificity", "nsd"})


def compared_kind(measure: str) -> Kind:
    """Return what values a measure has as it is compared, and which are better; refuses what is no measure."""
    return Kind(0, inf, "lower") if measure in _SIZES else kind_of(measure)


def compared_in(region: str) -> tuple[str, ...]:
    """Return the measures that are compared in a region, in the order of scores.csv: all in which one can be better."""
    own = measures_of(region)
    return tuple(name for name in columns if name in own and compared_kind(name).better != "neither")


def value_of(row: Row, measure: str) -> float | None:
    """Return the value of a measure as it is compared: without its sign for an error of volume.

    None where it is undefined. A failed prediction that was not scored in full has the worst value of every share.
    Refuses (TypeError) a cell that is no number.
    """
    value = row.get(measure)
    if value is None:
        return 0.0 if measure in _SHARES and row.get("reason") and row.get("dice") is not None else None
    if not isinstance(value, (int, float)):
        raise TypeError(f"{measure} is a number, got {value!r}")
    return abs(float(value)) if measure in _SIZES else float(value)
