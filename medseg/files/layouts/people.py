"""Whose scan a case is, where it was made, and to which group it belongs: from columns or from the case's name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from medseg.files.layouts.values import DataSettings, FoundCase
from medseg.values.error import Refusal, wrong_setting


@dataclass(frozen=True, slots=True)
class Table:
    """What a data set tells of its cases: names of columns in lower case, and the filled cells of each case's row."""

    columns: tuple[str, ...] = ()
    rows: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


NO_TABLE = Table()


def with_people(case: FoundCase, settings: DataSettings, table: Table) -> FoundCase:
    """Return the case with subject, site and group.

    `data.subject` (`data.site`, `data.group`) is the name of a column, else a regular expression with one group on case
    names. Unset, it is the column of that very name, else what the layout said. Refuses a case whose subject column is
    empty, and a regular expression that finds nothing.
    """
    return replace(
        case,
        subject=_said("subject", settings.subject, case.case, table) or case.subject,
        site=_said("site", settings.site, case.case, table) or case.site,
        group=_said("group", settings.group, case.case, table) or case.group,
    )


def _said(what: str, wanted: str | None, case: str, table: Table) -> str | None:
    column = (wanted or what).strip().lower()
    if column in table.columns:
        cell = table.rows.get(case, {}).get(column)
        if not cell and what == "subject":
            remedy = "fill the column, or set data.subject to another one or to a regular expression"
            raise Refusal(case, f"the column {column} names the subject of every case", "an empty cell", remedy)
        return cell
    return None if wanted is None else _within(what, wanted, case, table)


def _within(what: str, expression: str, case: str, table: Table) -> str:
    """Return what the one group of the expression finds in the case's name."""
    columns = f", or name a column: {', '.join(table.columns)}" if table.columns else ""
    try:
        compiled = re.compile(expression)
    except re.error as error:
        value = f"{expression} ({error})"
        raise wrong_setting(f"data.{what}", "is a regular expression", value, f"mend it{columns}") from None
    if compiled.groups != 1:
        value = f"{compiled.groups} groups in {expression}"
        raise wrong_setting(
            f"data.{what}", f"has one group ( ) that holds the {what}", value, f"mark it with ( ){columns}"
        )
    match = compiled.search(case)
    if not match or not match.group(1):
        rule = f"finds the {what} in every case name, like {expression}"
        raise wrong_setting(f"data.{what}", rule, case, "widen it")
    return match.group(1)
