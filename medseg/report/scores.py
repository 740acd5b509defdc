"""scores.csv: one row per case and region, written so that the same rows give the same bytes."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

from medseg.files.appearing import appearing_at_once
from medseg.ops.scoring.rows import columns
from medseg.values.error import Refusal

TEXTS = ("case", "subject", "cohort", "region", "site", "reason")
# What a spreadsheet would compute when it opens the file: names and reasons come from the files of strangers.
_FORMULA = re.compile(r"'*(?:[=@]|[+-](?!\d*\.?\d*$))")
Value = str | int | float | None
Row = dict[str, Value]


def write_scores(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows with the columns of `medseg.ops.scoring.rows`; None is an empty cell, floats keep all their digits.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, which `read_scores` takes off.
    Refuses a row with a column that is not known; one that lacks a column gets an empty cell.
    """
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        if unknown := set(row) - set(columns):
            raise Refusal("scores", f"columns are {', '.join(columns)}", sorted(unknown), "leave them out")
        writer.writerow([_cell(row.get(column)) for column in columns])
    with appearing_at_once(path) as file:
        file.write(text.getvalue().encode("utf-8"))


def read_scores(path: Path) -> list[Row]:
    """Read rows back: texts, integers and floats as they were written, empty cells as None (reason: None or text)."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{column: _value(column, text) for column, text in row.items()} for row in csv.DictReader(file)]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if _FORMULA.match(value) else value
    if isinstance(value, (bool, int)):
        return str(value)
    if isinstance(value, float):
        return repr(float(value))
    raise Refusal("scores", "a cell is a text, a number or empty", repr(value), "turn it into one of them")


def _value(column: str, text: str) -> Value:
    if not text:
        return None
    if column in TEXTS:
        return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
    return int(text) if text.lstrip("-").isdigit() else float(text)
