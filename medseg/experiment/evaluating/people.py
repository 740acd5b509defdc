"""Whose scans the cases are and where they were made, from a table; and which cases are asked for, from a file."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from medseg.files.layouts.sheet import Row, Sheet, at, read_sheet
from medseg.files.layouts.values import FoundCase
from medseg.values.error import wrong_setting

_SHOWN = 3


def with_subjects(cases: Sequence[FoundCase], path: Path) -> tuple[FoundCase, ...]:
    """Return the cases with subject and site of a table with the columns case, subject and site (one may lack).

    Rows of other cases are passed over. Refuses (exit 2) a table that cannot be read, lacks the columns or one of the
    cases; and (exit 1, with its line) a row without case or subject, and a second row of a case.
    """
    sheet = _table(path)
    case, subject, site = (sheet.column(name) for name in ("case", "subject", "site"))
    if case is None or (subject is None and site is None):
        value = ", ".join(sheet.columns)
        raise wrong_setting("subjects", "has the columns case and subject, site or both", value, "name them so")
    rows = _by_case(sheet, case)
    unknown = [one.case for one in cases if one.case not in rows]
    if unknown:
        value = f"no row of {shown(unknown)}"
        raise wrong_setting("subjects", "names every case of the truth", value, "add the rows, or rename the cases")
    return tuple(_described(one, sheet, rows[one.case], subject, site) for one in cases)


def chosen(cases: Sequence[FoundCase], path: Path) -> tuple[FoundCase, ...]:
    """Return those cases that a file names: one per line, or the held-out ones of a run's summary.json or split.json.

    Refuses (exit 2) a file that cannot be read, that names no case, and a name that no case has.
    """
    names = _names(path)
    known = {case.case.lower(): case.case for case in cases}
    for name in sorted(names):
        if known.get(name.lower()) != name:
            near = difflib.get_close_matches(name.lower(), known, n=1)
            remedy = f"did you mean {known[near[0]]}?" if near else "take it out, or check truth and truth_suffix"
            raise wrong_setting("cases", "names cases that have a true mask", name, remedy)
    if not names:
        raise wrong_setting("cases", "names at least one case", path, "write one case per line")
    return tuple(case for case in cases if case.case in names)


def shown(names: Collection[str]) -> str:
    """Name the first few, and say how many there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return ", ".join(ordered[:_SHOWN]) + more


def _table(path: Path) -> Sheet:
    try:
        return read_sheet(path)
    except OSError as error:
        value = f"{path} ({error.strerror})"
        raise wrong_setting("subjects", "is a table that can be read", value, "check the path") from error


def _by_case(sheet: Sheet, column: str) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for row in sheet.rows:
        case = row.cells.get(column)
        if case is None:
            raise at(sheet.name, row.line, "a row names its case", "an empty cell", "fill it, or take out the row")
        if case in rows:
            raise at(sheet.name, row.line, "a case has one row", f"{case}, which line {rows[case].line} has too",
                     "take out one of them")  # fmt: skip
        rows[case] = row
    return rows


def _described(case: FoundCase, sheet: Sheet, row: Row, subject: str | None, site: str | None) -> FoundCase:
    named = row.cells.get(subject) if subject else case.subject
    if named is None:
        raise at(sheet.name, row.line, "a row names its subject", "an empty cell", "fill it")
    return replace(case, subject=named, site=row.cells.get(site) if site else case.site)


def _names(path: Path) -> frozenset[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        value = f"{path} ({getattr(error, 'strerror', None) or error})"
        raise wrong_setting("cases", "is a text file in UTF-8", value, "check the path") from None
    if path.suffix.lower() == ".json":
        return frozenset(_held_out(path, text))
    return frozenset(line.strip() for line in text.splitlines() if line.strip())


def _held_out(path: Path, text: str) -> Iterable[str]:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise wrong_setting("cases", "is JSON, as its name says", error, "mend the file") from None
    names = read.get("held_out") if isinstance(read, dict) else read
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        value = f"{path} without"
        raise wrong_setting("cases", 'is a list of cases, or an object with the list "held_out"', value, "name them")
    return names
