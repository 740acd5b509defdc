"""Folders of cases, and which scans of a folder a pattern means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from medseg.files.layouts.tree import DATATYPES, Tree, is_dicom_only, joined
from medseg.files.layouts.values import ChannelFile, FoundCase
from medseg.files.scan_names import stem_of
from medseg.values.error import Refusal, wrong_setting

Matches = Callable[[str], bool]


def case_folders(tree: Tree, tests: Sequence[Matches] = (), depth: int = 2, above: str = "") -> Iterator[str]:
    """Yield the folders of cases: those with scans or DICOM series in them. Other folders are looked into.

    DICOM slices alone make no case, unless one of them fits one of `tests`.
    """
    for name in tree.listing(above).folders:
        folder = joined(above, name)
        if name in DATATYPES and "sub-" in above:
            continue
        if _is_case(tree, folder, tests):
            yield folder
        elif depth > 1:
            yield from case_folders(tree, tests, depth - 1, folder)


def same_stem(pattern: str) -> Matches:
    """Make the test whether a stem fits a pattern of the user's (`*` and `?` stand for anything)."""
    wanted = stem_of(pattern)
    return lambda stem: fnmatchcase(stem, wanted)


def matching(tree: Tree, folder: str, fits: Matches) -> list[str]:
    """Return the paths of the scans right in a folder whose stem fits, and of DICOM series whose folder's name does."""
    listing = tree.listing(folder)
    names = [name for name, stem in listing.scans.items() if fits(stem)]
    names += [name for name in listing.folders if fits(name) and tree.is_series(joined(folder, name))]
    return [joined(folder, name) for name in names]


def cases_by_folder(
    tree: Tree, folders: Iterable[str], channels: Mapping[str, Matches], mask: Matches
) -> tuple[FoundCase, ...]:
    """Make one case of every folder, named after the folder.

    Refuses two files for one channel or mask of a case, and two folders of one name.
    """
    cases: dict[str, FoundCase] = {}
    for folder in folders:
        name = folder.rpartition("/")[2]
        if name in cases:
            remedy = "rename one of them, or point data.root to one group"
            raise Refusal("data.root", "every case has a folder name of its own", name, remedy)
        paths = {
            channel: only_one(matching(tree, folder, fits), name, f"data.channels.{channel}")
            for channel, fits in channels.items()
        }
        files = {channel: ChannelFile(path) for channel, path in paths.items() if path is not None}
        cases[name] = FoundCase(name, name, files, only_one(matching(tree, folder, mask), name, "data.mask"))
    return tuple(cases.values())


def only_one(found: Sequence[str], case: str, setting: str) -> Path | None:
    """Return the one path that was found, None for none; refuses more of them, naming the setting."""
    if len(found) > 1:
        more = f" and {len(found) - 4} more" if len(found) > 4 else ""
        value = ", ".join(PurePosixPath(path).name for path in found[:4]) + more
        raise wrong_setting(setting, f"means one file of {case}", value, "give a narrower pattern")
    return Path(found[0]) if found else None


def by_stem(tree: Tree, folder: str, fits: Matches, ending: str = "") -> dict[str, Path]:
    """Return the scans right in a folder, by stem; only those of the ending, where one is given.

    Refuses two of one stem, like a.nii and a.nrrd.
    """
    found: dict[str, str] = {}
    for path in matching(tree, folder, fits):
        if not path.endswith(ending):
            continue
        name = PurePosixPath(path).name
        stem = tree.listing(folder).scans.get(name, name)
        if stem in found:
            other = PurePosixPath(found[stem]).name
            raise Refusal(path, "a case has one file", f"{other} too", "remove one of them")
        found[stem] = path
    return {stem: Path(path) for stem, path in found.items()}


def _is_case(tree: Tree, folder: str, tests: Sequence[Matches]) -> bool:
    listing = tree.listing(folder)
    if listing.scans and not is_dicom_only(listing):
        return True
    return any(test(stem) for stem in listing.scans.values() for test in tests) or any(
        tree.is_series(joined(folder, name)) for name in listing.folders
    )
