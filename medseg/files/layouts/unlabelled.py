"""Scans that a trained model is to segment: in any layout of a data set, masks or not, or lying loose."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from medseg.files.layouts import csv_list, loose
from medseg.files.layouts.brats import SAME, SUFFIXES
from medseg.files.layouts.find import cases_in, check_names, contents, fitting
from medseg.files.layouts.folders import case_folders
from medseg.files.layouts.nnunet import TEST_IMAGES
from medseg.files.layouts.rewording import told_of
from medseg.files.layouts.tree import Tree
from medseg.files.layouts.values import DataSettings, Found, FoundCase, LayoutName
from medseg.files.reading import Reading
from medseg.values.error import wrong_setting

_GENERIC = re.compile(r"^(image|channel[ _]?\d+|\d+)$", re.ASCII | re.IGNORECASE)
_OLDER = {newer: older for older, newer in SAME}


class ScanSettings(Reading):
    """How new scans lie in their folder. Masks are not needed, and are passed over."""

    layout: Literal["auto", "scans"] | LayoutName = Field(
        "auto", description="auto looks at what is in the folder; scans is a folder without the shape of a data set"
    )
    channels: dict[str, str] = Field(
        {}, description="channel of the model -> file stem, pattern or column, like {PET: '*_PET'}"
    )
    resample_channels: bool = Field(
        True, description="bring channels on other grids to the grid of the first one; false refuses them"
    )

    @property
    def reading(self) -> Reading:
        """How files are to be read."""
        return Reading(assume_orientation=self.assume_orientation, repair=self.repair)


def find_scans(images: Path, settings: ScanSettings, names: Sequence[str], without: Path) -> Found:
    """Find the scans at `images`: a scan, a folder of scans or a table. Cases are sorted by name and have no masks.

    names: the channels of the model in order; channels of a case come out under them, others under a name of their own.
    A lacking channel is no refusal here. without: a folder that is passed over. Paths are relative to `images`, or to
    its folder where it is a file.
    A folder in no layout of a data set holds loose scans: see `medseg.files.layouts.loose`.
    Refuses (exit 2) a path that does not exist, a folder without scans, channels that the model does not know, and what
    the layouts refuse.
    """
    if not images.exists():
        raise wrong_setting("images", "a scan, a folder of scans or a table that exists is needed", images, "check it")
    for channel in settings.channels:
        if channel not in names:
            remedy = "name channels of the model"
            raise wrong_setting(f"data.channels.{channel}", f"is one of {', '.join(names)}", channel, remedy)
    with told_of("images"):
        found = _found(Tree(images, without), settings, names)
    kept = [replace(case, mask=None) for case in found.cases if case.channels or case.mask is None]
    return replace(found, cases=tuple(matched(case, found.channels, names) for case in kept))


def passed_over(images: Path, found: Found, without: Path) -> tuple[str, ...]:
    """Name what may have been meant and belongs to none of the cases found.

    Scans and folders of scans in a folder of loose ones, and scans for testing of a data set that has them apart.
    """
    tree = Tree(images, without)
    if tree.sheet or tree.is_series(""):
        return ()
    paths = {file.path for case in found.cases for file in case.channels.values()}
    taken = {part.as_posix() for path in paths for part in (path, *path.parents)}
    there = [TEST_IMAGES] if tree.listing(TEST_IMAGES).scans else []
    if found.layout == loose.LAYOUT:
        there = [*tree.listing().scans, *tree.series_in(""), *case_folders(tree)]
    return tuple(sorted(set(there) - taken))


def matched(case: FoundCase, there: Sequence[str], names: Sequence[str]) -> FoundCase:
    """Put the model's names for the channels of a case, which the data set calls `there`.

    By name, in upper or lower case; the two generations of BraTS names are the same. Where no name is shared and one
    side has only such names as `image` or `channel_0`, channels of an equal number go by their order. Those that belong
    to no channel of the model keep their names.
    """
    meaning = _meaning(there, names)
    channels = {meaning.get(name, name): file for name, file in case.channels.items()}
    return replace(case, channels=channels)


def _meaning(there: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    known = {_key(name): name for name in names}
    shared = {name: known[_key(name)] for name in there if _key(name) in known}
    if shared or len(there) != len(names):
        return shared
    return dict(zip(there, names, strict=True)) if _is_generic(there) or _is_generic(names) else {}


def _key(name: str) -> str:
    low = name.lower()
    return _OLDER.get(low, low)


def _is_generic(names: Sequence[str]) -> bool:
    return all(_GENERIC.match(name) for name in names)


def _found(tree: Tree, settings: ScanSettings, names: Sequence[str]) -> Found:
    layout = _layout(tree, settings, names)
    if layout != loose.LAYOUT:
        return cases_in(tree, DataSettings(layout=layout, channels=settings.channels))
    found = loose.find(tree, settings.channels, names)
    if not found.cases:
        remedy = "check path, data.layout and data.channels"
        raise wrong_setting("images", "holds scans", contents(tree), remedy)
    cases = sorted(found.cases, key=lambda case: case.case)
    check_names(cases)
    return replace(found, cases=tuple(cases))


def _layout(tree: Tree, settings: ScanSettings, names: Sequence[str]) -> Literal["auto", "scans"] | LayoutName:
    """Name the layout: the one that is set, csv for a table, scans where none of a data set fits; auto is to be told.

    Names that end in t1 or t2 are BraTS ones only where all channels of the model are.
    """
    if tree.sheet:
        is_table = settings.layout == "auto" and tree.sheet.lower().endswith(csv_list.ENDINGS)
        return "csv" if is_table or settings.layout == "csv" else "scans"
    if settings.layout != "auto" or tree.is_series(""):
        return settings.layout if settings.layout != "auto" else "scans"
    fit = fitting(tree, DataSettings(channels=settings.channels))
    if "brats" in fit and not settings.channels and not {name.lower() for name in names} <= set(SUFFIXES):
        fit.remove("brats")
    if len(fit) > 1:
        return "auto"  # whoever looks for cases refuses it
    return fit[0] if fit else "scans"
