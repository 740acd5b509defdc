"""Which cases lie in a folder, whatever the shape of the data set, and what their masks mean."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from medseg.files.layouts import bids, brats, csv_list, msd, nnunet, pairs
from medseg.files.layouts.labels import label_scheme
from medseg.files.layouts.people import with_people
from medseg.files.layouts.tree import Tree, is_plain
from medseg.files.layouts.values import ChannelFile, DataSettings, Found, FoundCase, LayoutName
from medseg.files.scan_names import is_scan_name
from medseg.values.error import Refusal, wrong_setting

__all__ = ["ChannelFile", "DataSettings", "Found", "FoundCase", "find_cases", "label_scheme"]

_LAYOUTS: dict[LayoutName, ModuleType] = {
    "msd": msd,
    "nnunet": nnunet,
    "brats": brats,
    "bids": bids,
    "pairs": pairs,
    "csv": csv_list,
}
_SHAPES = (
    "msd (dataset.json with training pairs), nnunet (imagesTr/CASE_0000.nii.gz and labelsTr/), "
    "brats (a folder per case: *_flair, *_t1, ..., *_seg), bids (sub-*/anat/ and derivatives/), "
    "csv (a table with the columns case, label and one per channel) or "
    "pairs (images/ and labels/, or a folder per case with data.channels and data.mask)"
)
_PACKED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_PARTS = frozenset(("images", "labels", "masks", "imagesTr", "labelsTr", "imagesTs", "labelsTs", "derivatives"))
_LONGEST_NAME = 200  # bytes: with the endings of files and drafts it stays below the 255 of file systems
# Marks that turn the direction of text: a name with one looks like another name.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def find_cases(root: Path, settings: DataSettings) -> Found:
    """Find the cases below `root`, sorted by name, in the layout that is set or that fits. `root` may be a CSV file.

    Paths are relative to the folder (of the file), or absolute where the data set names them so.
    A missing channel or mask is no refusal here: the case lacks it. Refuses a root that is no folder and no table, a
    folder that fits no layout or two of them (exit code 2), a malformed description of the data set, and names of cases
    that could be no file names or that differ only in upper and lower case.
    """
    _check_root(root, settings)
    return cases_in(Tree(root), settings)


def cases_in(tree: Tree, settings: DataSettings) -> Found:
    """Find the cases below the root of a tree, as `find_cases` does."""
    try:
        name = _layout(tree, settings)
        found, table = _LAYOUTS[name].find(tree, settings)
        if not found.cases:
            value = contents(tree)
            raise wrong_setting("data.root", f"holds cases in the layout {name}", value, "check path and layout")
    except OSError as error:
        raise wrong_setting("data.root", "the folder can be read", error, "check its rights") from error
    cases = sorted((with_people(case, settings, table) for case in found.cases), key=lambda case: case.case)
    check_names(cases)
    complete: Found = replace(found, cases=tuple(cases))
    return complete


def fitting(tree: Tree, settings: DataSettings) -> list[LayoutName]:
    """Name the layouts that fit what lies in the folder."""
    return [name for name, layout in _LAYOUTS.items() if layout.fits(tree, settings)]


def _check_root(root: Path, settings: DataSettings) -> None:
    named_table = root.name.lower().endswith(csv_list.ENDINGS) and settings.layout == "auto"
    if root.is_dir() or (root.is_file() and (named_table or settings.layout == "csv")):
        return
    value = f"{root} (a file)" if root.exists() else str(root)
    remedy = "set data.root to the data set's folder, or to a .csv file of its cases"
    if root.is_file() and root.name.lower().endswith(_PACKED) and not is_scan_name(root.name):
        remedy = "unpack it, and set data.root to the folder that comes out"
    elif str(root).startswith("~"):
        remedy = "the shell puts nothing in place of ~ here: write $HOME"
    elif "\\" in str(root):
        remedy = "write the path with /, as Linux has it"
    raise wrong_setting("data.root", "a folder that exists is needed", value, remedy)


def _layout(tree: Tree, settings: DataSettings) -> LayoutName:
    """Name the layout: the one that is set, csv for a table, else the only one that fits.

    Layouts are told apart by what is in the folder, and none goes before another: dataset.json with "training" pairs is
    msd unless the images are named per channel (nnunet); folders of datatypes below sub-* are bids and never brats or
    pairs; imagesTr/ and labelsTr/ are pairs only without dataset.json and channel numbers. What fits two layouts after
    that, like a table of cases beside images/ and labels/, is for the user to decide.
    """
    if tree.sheet:
        return "csv"
    if settings.layout != "auto":
        return settings.layout
    fit = fitting(tree, settings)
    if len(fit) > 1:
        remedy = f"set data.layout to {' or '.join(fit)}"
        raise wrong_setting("data.layout", "the folder fits one layout", " and ".join(fit), remedy)
    if not fit:
        raise wrong_setting("data.root", f"the folder fits a layout: {_SHAPES}", contents(tree), _fitting_instead(tree))
    return fit[0]


def _fitting_instead(tree: Tree) -> str:
    """Say what to do about a folder in no layout: the data set may be the only folder in it, or the one around it."""
    inside = [tree.root / name for name in tree.listing().folders]
    around = [tree.root.absolute().parent] if tree.root.absolute().name in _PARTS else []
    for place in [*(inside if len(inside) == 1 else []), *around]:
        with suppress(Refusal, OSError):
            layouts = fitting(Tree(place), DataSettings())
            if layouts:
                return f"set data.root to {place}, which fits {' and '.join(layouts)}"
    return "bring it into one of these shapes, or list the scans in a table and set data.root=TABLE.csv"


def contents(tree: Tree) -> str:
    """Say what lies in a folder, for a message about it."""
    listing = tree.listing()
    names = sorted([*listing.folders, *listing.scans, *listing.others])
    if not names:
        return f"{tree.root}, an empty folder"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{tree.root} with {', '.join(names[:3])}{more}"


def check_names(cases: Sequence[FoundCase]) -> None:
    """Refuse names that cannot name a file everywhere: records, predictions and pictures are named after the case."""
    seen: dict[str, FoundCase] = {}
    for case in cases:
        name = case.case
        if not _names_a_file(name):
            rule = f"a case name is a file name: at most {_LONGEST_NAME} bytes, no / or \\, no dot in front, "
            rule += "no mark that turns text"
            raise Refusal("data.root", rule, ascii(name)[:80] if name else "an empty name", "rename the case")
        other = seen.setdefault(name.lower(), case)
        if other is not case:
            rule = "case names differ in more than upper and lower case, and each stands for one case"
            raise Refusal("data.root", rule, f"{other.case} and {name}", "rename one of them")


def _names_a_file(name: str) -> bool:
    if not is_plain(name) or set(name) & {"/", "\\", *_TURNING}:
        return False
    return 0 < len(name.encode()) <= _LONGEST_NAME and not name.startswith(".")
