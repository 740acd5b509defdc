"""Layout `brats`: a folder per case, its files told apart by their last word.

Source: file names of the BraTS challenges 2017-2021 (`CASE_flair`, `CASE_seg`) and 2023 on (`CASE-t2f`, `CASE-seg`).
"""

from __future__ import annotations

from pathlib import Path

from medseg.files.layout_folders import Matches, case_folders, cases_by_folder, matching
from medseg.files.layout_values import DataSettings, Found

SUFFIXES = ("flair", "t1", "t1ce", "t2", "t2f", "t1n", "t1c", "t2w")
_MASK = "seg"


def fits(root: Path, settings: DataSettings) -> bool:
    """Tell whether some folder has files with channel suffixes, one of each, and the settings name only such."""
    chosen = {value.lower() for value in settings.channels.values()}
    if not chosen <= set(SUFFIXES) or (settings.mask or _MASK).lower() != _MASK:
        return False
    counts = [[len(matching(scans, ends_with(suffix))) for suffix in SUFFIXES] for _, scans in case_folders(root)]
    return any(max(count) == 1 for count in counts)


def find(root: Path, settings: DataSettings) -> Found:
    """Find the cases. Channels are those of `data.channels`, else every known suffix that some case has."""
    suffixes = dict(settings.channels) or {suffix: suffix for suffix in _present(root)}
    channels = {name: ends_with(suffix) for name, suffix in suffixes.items()}
    cases = cases_by_folder(root, channels, ends_with(settings.mask or _MASK))
    return Found("brats", tuple(suffixes), cases)


def ends_with(suffix: str) -> Matches:
    """Make the test whether a stem ends with `_suffix` or `-suffix`, in upper or lower case."""
    endings = (f"_{suffix.lower()}", f"-{suffix.lower()}")
    return lambda stem: stem.lower().endswith(endings)


def _present(root: Path) -> list[str]:
    folders = case_folders(root)
    return [suffix for suffix in SUFFIXES if any(matching(scans, ends_with(suffix)) for _, scans in folders)]
