"""Layout `brats`: a folder per case, its files told apart by their last word.

Source: file names of the BraTS challenges 2017-2021 (`CASE_flair`, `CASE_seg`, in folders HGG and LGG until 2020) and
2023 on (`BraTS-GLI-00001-000-t2f`, `...-seg`; the number before the last word is the time point).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from medseg.files.layouts.folders import Matches, case_folders, cases_by_folder
from medseg.files.layouts.people import NO_TABLE, Table
from medseg.files.layouts.tree import Tree
from medseg.files.layouts.values import DataSettings, Found, FoundCase

SAME = (("flair", "t2f"), ("t1", "t1n"), ("t1ce", "t1c"), ("t2", "t2w"))
SUFFIXES = tuple(older for older, _ in SAME) + tuple(newer for _, newer in SAME)
_MASKS = ("seg", "gtv")
_DEPTH = 3
_GROUPS = ("hgg", "lgg")
_VISIT = re.compile(r"^(BraTS(?:-[A-Za-z]+)+-\d+)-\d+$", re.IGNORECASE)


def fits(tree: Tree, settings: DataSettings) -> bool:
    """Tell whether some folder has one file of a channel suffix, and the settings name only such suffixes."""
    chosen = {value.lower() for value in settings.channels.values()}
    if not chosen <= set(SUFFIXES) or (settings.mask or _MASKS[0]).lower() not in _MASKS:
        return False
    return any(_has_one(tree, folder) for folder in case_folders(tree, depth=_DEPTH))


def find(tree: Tree, settings: DataSettings) -> tuple[Found, Table]:
    """Find the cases. Channels are those of `data.channels`, else every known one that some case has.

    The two generations of names are the same four channels: a set that mixes them has one set of channels, in the
    older names. Scans of one subject at several times are told by their names; HGG and LGG are groups.
    """
    folders = tuple(case_folders(tree, depth=_DEPTH))
    suffixes = dict(settings.channels) or {name: name for name in _present(tree, folders)}
    channels = {name: ends_with(suffix) for name, suffix in suffixes.items()}
    cases = cases_by_folder(tree, folders, channels, ends_with(settings.mask or _MASKS[0]))
    known = tuple(_known(case, folder) for case, folder in zip(cases, folders, strict=True))
    return Found("brats", tuple(suffixes), known), NO_TABLE


def ends_with(suffix: str) -> Matches:
    """Make the test whether the last word of a stem, after `_` or `-`, is the suffix or its name in the other years."""
    wanted = {suffix.lower()}.union(*(pair for pair in SAME if suffix.lower() in pair))
    return lambda stem: _last_word(stem) in wanted


def _last_word(stem: str) -> str:
    before, _, word = stem.lower().replace("-", "_").rpartition("_")
    return word if before else ""


def _has_one(tree: Tree, folder: str) -> bool:
    words = [_last_word(stem) for stem in tree.listing(folder).scans.values()]
    return any(words.count(suffix) == 1 for suffix in SUFFIXES)


def _present(tree: Tree, folders: Iterable[str]) -> list[str]:
    """Name the channels that some case has: as the older generation did where any file is named so."""
    seen = {_last_word(stem) for folder in folders for stem in tree.listing(folder).scans.values()}
    return [older if older in seen else newer for older, newer in SAME if seen & {older, newer}]


def _known(case: FoundCase, folder: str) -> FoundCase:
    visit = _VISIT.match(case.case)
    above = folder.split("/")[-2] if "/" in folder else ""
    group = above.upper() if above.lower() in _GROUPS else None
    return replace(case, subject=visit.group(1) if visit else case.subject, group=group)
