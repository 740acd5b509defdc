"""Folders with NIfTI files in them, and which files of a folder a pattern means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from medseg.files.layout_values import ChannelFile, FoundCase
from medseg.values.error import Refusal, wrong_setting

_ENDINGS = (".nii.gz", ".nii")
Matches = Callable[[str], bool]


def stem_of(name: str) -> str:
    """Return a file name without .nii or .nii.gz."""
    for ending in _ENDINGS:
        if name.endswith(ending):
            return name[: -len(ending)]
    return name


def scans_in(folder: Path) -> list[Path]:
    """List the NIfTI files right in a folder by name; hidden files are none."""
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.name.endswith(_ENDINGS) and not entry.name.startswith(".") and entry.is_file()
    )


def case_folders(root: Path, depth: int = 2) -> list[tuple[Path, list[Path]]]:
    """List the folders below `root` that hold NIfTI files, with these files; a folder without any is looked into."""
    found = []
    for entry in sorted(root.iterdir()):
        if entry.name.startswith(".") or not entry.is_dir():
            continue
        scans = scans_in(entry)
        if scans:
            found.append((entry, scans))
        elif depth > 1:
            found += case_folders(entry, depth - 1)
    return found


def same_stem(pattern: str) -> Matches:
    """Make the test whether a stem fits a pattern of the user's (`*` and `?` stand for anything)."""
    wanted = stem_of(pattern)
    return lambda stem: fnmatchcase(stem, wanted)


def matching(scans: Iterable[Path], fits: Matches) -> list[Path]:
    """Return the files whose stem fits."""
    return [scan for scan in scans if fits(stem_of(scan.name))]


def cases_by_folder(root: Path, channels: Mapping[str, Matches], mask: Matches) -> tuple[FoundCase, ...]:
    """Make one case of every folder with NIfTI files, named after the folder.

    Refuses two files for one channel or mask of a case, and two folders of one name.
    """
    cases: dict[str, FoundCase] = {}
    for folder, scans in case_folders(root):
        if folder.name in cases:
            remedy = "rename one of them, or point data.root to one group"
            raise Refusal("data.root", "every case has a folder name of its own", folder.name, remedy)
        paths = {name: _only_one(root, folder, matching(scans, fits), name) for name, fits in channels.items()}
        files = {name: ChannelFile(path) for name, path in paths.items() if path is not None}
        found = _only_one(root, folder, matching(scans, mask), "mask")
        cases[folder.name] = FoundCase(folder.name, folder.name, files, found)
    return tuple(cases.values())


def _only_one(root: Path, folder: Path, found: Sequence[Path], name: str) -> Path | None:
    if len(found) > 1:
        setting = "data.mask" if name == "mask" else f"data.channels.{name}"
        value = ", ".join(path.name for path in found)
        raise wrong_setting(setting, f"means one file of {folder.name}", value, "give a narrower pattern")
    return found[0].relative_to(root) if found else None
