"""Pieces of HTML that a notebook shows as they are: tables, charts, pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medseg.report.templates import environment
from medseg.report.wording import Cells


class Shown:
    """A piece of HTML that a notebook shows as it is; `html` is its text."""

    def __init__(self, html: str) -> None:
        self.html = html

    def _repr_html_(self) -> str:
        return self.html


def shown(**parts: Any) -> Shown:
    """Make a piece of the parts of piece.html: heads and rows of a table, charts, pictures."""
    empty: Mapping[str, Any] = {"note": "", "heads": [], "rows": [], "charts": [], "pictures": []}
    return Shown(environment().get_template("notebook/piece.html").render({**empty, **parts}))


def table(heads: Sequence[str], lines: Sequence[Sequence[Any]], numbers: Sequence[int] = ()) -> Shown:
    """Make a table; the columns `numbers` (counted from 0) are set to the right."""
    cells: list[list[Cells]] = [[{"text": v, "number": i in numbers} for i, v in enumerate(line)] for line in lines]
    return shown(heads=[{"name": head, "number": i in numbers} for i, head in enumerate(heads)], rows=cells)
