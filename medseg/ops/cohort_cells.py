"""From cells of rows to the numbers of a summary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np

from medseg.ops.scoring.rows import Row
from medseg.ops.statistics.kinds import kind_of
from medseg.ops.statistics.shares import share_interval
from medseg.ops.statistics.summaries import Summary, summarise_values

Record = dict[str, object]


def rows_of(rows: Sequence[Row], region: str, cohort: str | None = None) -> list[Row]:
    """Return the rows of a region, of one cohort or of all."""
    return [row for row in rows if row["region"] == region and cohort in (None, row["cohort"])]


def subjects_of(rows: Sequence[Row], wanted: Callable[[Row], bool] = lambda row: True) -> set[str]:
    """Return the subjects who have a wanted row."""
    return {str(row["subject"]) for row in rows if wanted(row)}


def summarise_cells(rows: Sequence[Row], measure: str, seed: int, name: str) -> Record:
    """Summarise a measure over rows; `name` names its random stream together with the measure."""
    values = [number_in(row, measure) for row in rows]
    subjects = [str(row["subject"]) for row in rows]
    return record(summarise_values(values, subjects, seed, name, measure, kind=kind_of(measure)))


def record(summary: Summary) -> Record:
    """Turn a summary into what stands in summary.json."""
    return plain(asdict(summary))


def plain(found: Record) -> Record:
    """Return a record as JSON has it, with lists in the place of tuples."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def share(name: str, found: Sequence[bool], subjects: Sequence[str]) -> Record:
    """Return the share that is true under `name`, None of nothing, and its interval under `name`_ci95."""
    part = sum(found) / len(found) if found else None
    return {name: part, f"{name}_ci95": list(share_interval(found, subjects))}


def number_in(row: Row, measure: str) -> float | None:
    """Return a cell's number, None where it is empty; a text is refused as a mistake of the program."""
    value = row[measure]
    if value is None:
        return None
    if not isinstance(value, (int, float)):
        raise TypeError(f"a measure is a number, got {value!r}")
    return float(value)


def numbers_in(rows: Sequence[Row], measure: str) -> list[float]:
    """Return the numbers of a measure that are defined, smallest first, so that sums do not know the order of rows."""
    return sorted(value for value in (number_in(row, measure) for row in rows) if value is not None)


def mean(values: Sequence[float]) -> float | None:
    """Return the mean, None of nothing."""
    return float(np.mean(values)) if values else None
