"""Layout `csv`: a table with one row per case, its files in columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath

from medseg.files.layouts.people import Table
from medseg.files.layouts.sheet import Row, Sheet, at, columns_of, read_sheet
from medseg.files.layouts.tree import Tree, named_file
from medseg.files.layouts.values import ChannelFile, DataSettings, Found, FoundCase, Part
from medseg.files.scan_names import is_scan_name
from medseg.values.error import wrong_setting

ENDINGS = (".csv", ".tsv")
_MASKS = ("label", "mask")
_PEOPLE = ("subject", "site", "group")
_RESERVED = ("case", "split", "annotated", *_PEOPLE, *_MASKS)
_PARTS: Mapping[str, Part] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "val", "valid"), "validation"),
    **dict.fromkeys(("held_out", "held-out", "heldout", "test"), "held_out"),
}


def fits(tree: Tree, settings: DataSettings) -> bool:
    """Tell whether a table right in the folder has the columns case, one of masks, and one that names scans."""
    return bool(_fitting(tree, settings))


def find(tree: Tree, settings: DataSettings) -> tuple[Found, Table]:
    """Find the cases: one per row; paths are relative to the table, or absolute.

    Columns, in upper or lower case: `case`; `label` or `mask`, or the one that `data.mask` names; a channel each of
    those that `data.channels` names, else each whose cells name scans; and `subject`, `site`, `group`, `split` (train,
    validation, held_out) and `annotated` (names of labels, parted by `;`, `|` or spaces). Empty cells are lacking; an
    empty `annotated` means all labels. A path stays named where no file is, so that the index refuses it.
    Refuses rows without case, two rows of one case, and other words in `split`, each with its line.
    """
    sheet = read_sheet(tree.root / _name(tree, settings))
    case_column = sheet.column("case")
    if case_column is None:
        raise at(sheet.name, 1, "has a column case", ", ".join(sheet.columns), "name the column of the cases so")
    mask = _mask_column(sheet, settings)
    channels = _channel_columns(sheet, settings, tree)
    rows = _by_case(sheet, case_column)
    cases = tuple(_case(tree, sheet, case, row, channels, mask) for case, row in rows.items())
    cells = {case: {column.lower(): cell for column, cell in row.cells.items()} for case, row in rows.items()}
    table = Table(tuple(column.lower() for column in sheet.columns), cells)
    return Found("csv", tuple(channels), cases), table


def _fitting(tree: Tree, settings: DataSettings) -> list[str]:
    names = [name for name in tree.listing().others if name.lower().endswith(ENDINGS)]
    return [name for name in names if _fits(tree, name, settings)]


def _fits(tree: Tree, name: str, settings: DataSettings) -> bool:
    """The header is looked at first: a table of something else may be long."""
    path = tree.root / name
    if not path.is_file():
        return False
    columns = columns_of(path)
    masks = [settings.mask.lower()] if settings.mask else list(_MASKS)
    if "case" not in columns or not any(mask in columns for mask in masks):
        return False
    if settings.channels:
        return all(column.lower() in columns for column in settings.channels.values())
    return bool(_naming_scans(read_sheet(path), settings, tree))


def _name(tree: Tree, settings: DataSettings) -> str:
    """Return the name of the one table; refuses none and several."""
    if tree.sheet:
        return tree.sheet
    names = _fitting(tree, settings)
    if len(names) > 1:
        remedy = f"set data.root={tree.root / names[0]}, say"
        raise wrong_setting("data.root", "the folder holds one table of cases", " and ".join(names), remedy)
    if not names:
        rule = "layout csv is a table with the columns case, label and one per channel"
        value = f"no such .csv or .tsv in {tree.root}"
        raise wrong_setting("data.root", rule, value, "set data.root=FILE.csv, data.channels and data.mask")
    return names[0]


def _mask_column(sheet: Sheet, settings: DataSettings) -> str | None:
    if settings.mask:
        return _named(sheet, "data.mask", settings.mask)
    found = [column for name in _MASKS if (column := sheet.column(name))]
    if len(found) > 1:
        raise at(sheet.name, 1, "one column holds the masks", " and ".join(found), f"set data.mask={found[0]}, say")
    return found[0] if found else None


def _channel_columns(sheet: Sheet, settings: DataSettings, tree: Tree) -> dict[str, str]:
    if settings.channels:
        return {name: _named(sheet, f"data.channels.{name}", column) for name, column in settings.channels.items()}
    found = _naming_scans(sheet, settings, tree)
    if not found:
        value = ", ".join(sheet.columns)
        raise at(sheet.name, 1, "has a column for each channel that names scans", value, "name them by data.channels")
    return {column: column for column in found}


def _named(sheet: Sheet, setting: str, column: str) -> str:
    found = sheet.column(column)
    if found is None:
        raise wrong_setting(setting, f"is a column of {sheet.name}: {', '.join(sheet.columns)}", column, "name one")
    return found


def _naming_scans(sheet: Sheet, settings: DataSettings, tree: Tree) -> list[str]:
    """Return the columns of channels: a cell has the name of a scan, or the first filled one is a file or folder."""
    said = {(value or "").lower() for value in (settings.mask, settings.subject, settings.site, settings.group)}
    free = [column for column in sheet.columns if column.lower() not in {*_RESERVED, *said}]
    return [
        column
        for column in free
        if _names_scans([row.cells[column] for row in sheet.rows if column in row.cells], tree)
    ]


def _names_scans(cells: list[str], tree: Tree) -> bool:
    if any(is_scan_name(PurePath(cell).name) for cell in cells):
        return True
    return bool(cells) and len(cells[0]) < 4096 and (tree.root / cells[0]).exists()


def _by_case(sheet: Sheet, column: str) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for row in sheet.rows:
        case = row.cells.get(column)
        if case is None:
            raise at(sheet.name, row.line, f"the column {column} names the case", "an empty cell", "fill it")
        if case in rows:
            value = f"{case} as in line {rows[case].line}"
            raise at(sheet.name, row.line, "every case has one row", value, "rename or take out one of them")
        rows[case] = row
    return rows


def _case(tree: Tree, sheet: Sheet, case: str, row: Row, channels: Mapping[str, str], mask: str | None) -> FoundCase:
    where = f"{sheet.name} line {row.line}"
    paths = {column: named_file(tree, row.cells[column], where) for column in channels.values() if column in row.cells}
    files = {name: ChannelFile(paths[column]) for name, column in channels.items() if column in paths}
    label = named_file(tree, row.cells[mask], where) if mask and mask in row.cells else None
    return FoundCase(case, case, files, label, part=_part(sheet, row), annotated=_annotated(sheet, row))


def _part(sheet: Sheet, row: Row) -> Part | None:
    word = row.cells.get(sheet.column("split") or "")
    if word is None:
        return None
    if word.lower() not in _PARTS:
        raise at(sheet.name, row.line, "split is train, validation or held_out", word, "use one of these words")
    return _PARTS[word.lower()]


def _annotated(sheet: Sheet, row: Row) -> tuple[str, ...] | None:
    """Read names of labels. Spaces part them only where nothing else does, for a name may hold spaces."""
    cell = row.cells.get(sheet.column("annotated") or "")
    if cell is None:
        return None
    words = re.split(r"[;|]" if re.search(r"[;|]", cell) else r"\s+", cell)
    return tuple(dict.fromkeys(word.strip() for word in words if word.strip()))
