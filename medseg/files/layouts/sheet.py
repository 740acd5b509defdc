"""Tables of text, as spreadsheets write them: read strictly, every refusal with its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from medseg.files.layouts.tree import is_plain
from medseg.values.error import Refusal

_LARGEST = 64 << 20
_DELIMITERS = ",;\t"
_HEAD = 1 << 16


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line it ends in, counted from 1, and its filled cells by column."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: names of columns as written, and rows that are not empty. Cells carry no space around them."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def column(self, name: str) -> str | None:
        """Return the column of that name as it is written, in upper or lower case; None where there is none."""
        if name in self.columns:
            return name
        return next((column for column in self.columns if column.lower() == name.strip().lower()), None)


def columns_of(path: Path) -> tuple[str, ...]:
    """Return what stands in the first line of a file, in lower case; nothing where it cannot be a header."""
    with path.open("rb") as file:
        start = file.read(_HEAD).decode("utf-8-sig", errors="replace")
    first = start.splitlines()[0] if start.strip() else ""
    try:
        header = next(csv.reader([first], delimiter=_delimiter(first)), [])
    except csv.Error:
        return ()
    return tuple(cell.strip().lower() for cell in header)


def read_sheet(path: Path) -> Sheet:
    """Read a table with a header, UTF-8 with or without a mark, cells parted by comma, semicolon or tab.

    The delimiter is the one that parts the header into most cells. Refuses, with the line: text that is no UTF-8,
    columns without a name or of the same name, rows of another length than the header, quotes that are not closed.
    """
    text = _text(path)
    first = text.splitlines()[0] if text.strip() else ""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(first), strict=True)
    try:
        columns = _columns(path.name, next(reader, []))
        return Sheet(path.name, columns, tuple(_rows(path.name, reader, columns)))
    except csv.Error as error:
        raise at(path.name, reader.line_num, "is a table", error, "check the quotes in this line") from None


def at(name: str, line: int, rule: str, value: object, remedy: str) -> Refusal:
    """Make the refusal of one line of a table."""
    return Refusal(f"{name} line {line}", rule, value, remedy)


def _text(path: Path) -> str:
    size = path.stat().st_size
    if size > _LARGEST:
        raise Refusal(path.name, "a table has at most 64 MiB", f"{size} bytes", "take out what is no table")
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise at(path.name, line, "is UTF-8 text", error.reason, "save the table as CSV in UTF-8") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise at(path.name, line, "is text", "a NUL character", "save the table as CSV in UTF-8")
    return text


def _delimiter(header: str) -> str:
    return max(_DELIMITERS, key=header.count)


def _columns(name: str, header: list[str]) -> tuple[str, ...]:
    columns = tuple(cell.strip() for cell in header)
    lower = [column.lower() for column in columns]
    if not columns or not all(columns):
        raise at(name, 1, "every column has a name", f"none for column {columns.index('') + 1}" if columns else "none",
                 "name it, or take it out")  # fmt: skip
    odd = next((column for column in columns if not is_plain(column)), None)
    if odd is not None:
        raise at(name, 1, "the name of a column is one line of text", ascii(odd)[:200], "rename it")
    twice = next((column for column in columns if lower.count(column.lower()) > 1), None)
    if twice:
        raise at(name, 1, "columns have different names", twice, "rename or take out one of them")
    return columns


def _rows(name: str, reader: Iterator[list[str]], columns: tuple[str, ...]) -> Iterator[Row]:
    for cells in reader:
        line: int = reader.line_num  # type: ignore[attr-defined]
        filled = [cell.strip() for cell in cells]
        if not any(filled):
            continue
        if len(cells) < len(columns) or any(filled[len(columns) :]):
            value = f"{len(cells)} cells for {len(columns)} columns"
            raise at(name, line, "a row has as many cells as the header", value, "quote cells that hold a delimiter")
        odd = next((cell for cell in filled if not is_plain(cell)), None)
        if odd is not None:
            raise at(name, line, "a cell is one line of text", ascii(odd)[:200], "take out its control characters")
        yield Row(line, {column: cell for column, cell in zip(columns, filled, strict=False) if cell})
