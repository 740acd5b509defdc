"""Masks that lie anywhere below a folder, each named after its case."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from medseg.files.layouts.rewording import told_of
from medseg.files.layouts.tree import Tree, joined
from medseg.values.error import wrong_setting

PROBABILITIES, UNCERTAINTY, SET_ASIDE = ".probabilities", ".uncertainty", ".set-aside"
_BESIDE = re.compile(rf"({re.escape(PROBABILITIES)}|{re.escape(UNCERTAINTY)}|{re.escape(SET_ASIDE)}(-\d+)?)$")


@dataclass(frozen=True, slots=True)
class Masks:
    """Paths below a folder by the name of the case, sorted; `others` are scans without the suffix."""

    paths: Mapping[str, Path]
    others: tuple[str, ...]


def find_masks(root: Path, setting: str, suffix: str = "", without: Collection[Path] = ()) -> Masks:
    """Find the masks below a folder, at any depth; `without` are folders (resolved) that are passed over.

    The name of a case is that of its file without the ending and without `suffix`; a file that is named just like the
    suffix is called after its folder: with `seg`, P1/seg.nrrd is the mask of P1. A folder of DICOM slices is a mask
    called after the folder; several DICOM-SEG files in a folder are several masks. What `segment` leaves beside its
    masks, maps and masks that went aside, is none.
    Refuses (exit 2) what is no folder, and two masks of one case, naming both; `setting` is what the folder is set by.
    """
    if not root.is_dir():
        value = f"{root} (a file)" if root.exists() else root
        raise wrong_setting(setting, "a folder that exists is needed", value, f"set {setting}=DIR")
    paths: dict[str, str] = {}
    others: list[str] = []
    with told_of(setting):
        for path, stem in _below(Tree(root), {root.resolve(), *without}):
            case = _case(path, stem, suffix)
            if case is None:
                others.append(path)
            elif case in paths:
                remedy = f"remove one, rename it, or point {setting} to one group of them"
                value = f"{root / paths[case]} and {root / path}"
                raise wrong_setting(setting, f"a case has one mask, {case} too", value, remedy)
            elif not is_beside(case):
                paths[case] = path
    return Masks({case: Path(paths[case]) for case in sorted(paths)}, tuple(others))


def is_beside(case: str) -> bool:
    """Tell whether a file of this name, without its ending, is what `segment` leaves beside the mask of a case."""
    return _BESIDE.search(case) is not None


def _below(tree: Tree, passed: set[Path], folder: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and stem of the masks in a folder and in those below it, each folder once."""
    listing = tree.listing(folder)
    for name, stem in listing.scans.items():
        yield joined(folder, name), stem
    for name in listing.folders:
        inner = joined(folder, name)
        place = (tree.root / inner).resolve()
        if place in passed:
            continue
        passed.add(place)  # a link may lead back to a folder above
        if tree.is_series(inner) and not _are_segmentations(tree, inner):
            yield inner, name
        else:
            yield from _below(tree, passed, inner)


def _are_segmentations(tree: Tree, folder: str) -> bool:
    """Tell several masks, of which each is a DICOM-SEG file, from the slices of one."""
    names = list(tree.listing(folder).scans)
    if len(names) < 2:
        return False
    from medseg.files.foreign.dicom.file import read_file

    try:
        first = read_file(tree.root / folder / names[0])
    except Exception:  # whoever reads the mask says what is wrong with it
        return False
    return first is not None and first.is_segmentation


def _case(path: str, stem: str, suffix: str) -> str | None:
    """Name the case of a mask, None where it lacks the suffix."""
    if not stem.endswith(suffix):
        return None
    return stem[: len(stem) - len(suffix)] or PurePosixPath(path).parent.name or None
