"""From what was typed for `runs=` to folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from glob import glob
from pathlib import Path

from medseg.values.error import wrong_setting

_PATTERN = re.compile(r"[*?\[]")


def find_folders(typed: Sequence[str]) -> list[Path]:
    """Return the folders in the order in which they were named; those of a pattern by name, numbers as numbers.

    A folder may be named twice. Names of sweeps hold commas (`exp-network=unet2d,seed=1`), at which a list is parted:
    neighbours that are a folder only together are joined again. Refuses (exit 2) what is no folder.
    """
    folders: list[Path] = []
    rest = list(typed)
    while rest:
        found, used = _longest(rest)
        if not found:
            rule = "folders of runs, or that `evaluate` wrote, are needed"
            remedy = "check the path; a name with a comma stands in quotes: runs=\"['a,b',c]\""
            raise wrong_setting("runs", rule, rest[0], remedy)
        folders += found
        rest = rest[used:]
    return folders


def _longest(parts: Sequence[str]) -> tuple[list[Path], int]:
    """Return the folders that the longest beginning of `parts` names when joined, and how many parts it has."""
    for used in range(len(parts), 0, -1):
        found = _named(",".join(parts[:used]))
        if found:
            return found, used
    return [], 0


def _named(text: str) -> list[Path]:
    path = Path(text)
    if not text or path.is_dir():
        return [path] if text else []
    if not _PATTERN.search(text):
        return []
    return sorted((one for one in map(Path, glob(text)) if one.is_dir()), key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Order names as people do: a2 before a10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(path))]
