"""P-values of many comparisons at once."""

from __future__ import annotations

from collections.abc import Sequence

from medseg.values.error import Refusal


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p-values so that among all of them a false alarm at level a has probability a at most, in their order.

    None (no case to compare) stays None and does not count as a test. Refuses what is no probability, NaN included.
    Source: Holm 1979, Scandinavian Journal of Statistics 6.
    """
    for value in p_values:
        if value is not None and not 0 <= value <= 1:
            raise Refusal("p-values", "each lies within 0..1", value, "leave out what was not tested")
    tested = sorted((value, place) for place, value in enumerate(p_values) if value is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for done, (value, place) in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - done) * value))
        adjusted[place] = largest
    return adjusted
