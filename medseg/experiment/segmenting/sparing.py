"""Masks that a person has changed or put into the folder: they are never written over and never deleted."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from medseg.experiment.segmenting.writing import mask_names
from medseg.files.layouts.masks import SET_ASIDE
from medseg.files.scans import read_mask
from medseg.files.segmented import SegmentedScan, read_record
from medseg.values.digests import digest_of_file
from medseg.values.error import Refusal

STAYS = (
    "the mask was changed after it was made and stays as it is; volumes, confidence and picture are of the one that "
    "was made"
)


def stays(folder: Path, record: SegmentedScan) -> bool:
    """Tell whether a mask that is not as its record has it can be read whole: then it is somebody's work, no damage."""
    try:
        read_mask(folder / str(record.mask))
    except Refusal:
        return False
    return True


class Foreign:
    """Masks of a case that are not as its record has them. Where a new mask is written they go aside first."""

    def __init__(self, folder: Path, case: str) -> None:
        self._folder, self._case = folder, case
        self._aside: dict[str, Path] | None = None

    def set_aside(self) -> None:
        """Rename them; from then on what lies under a mask's name is the command's own."""
        moved = {}
        for name in self.names():
            moved[name] = (self._folder / name).rename(_free(self._folder, self._case, name))
        self._aside = moved

    def names(self) -> tuple[str, ...]:
        """Name those that lie there now."""
        if self._aside is not None:
            return ()
        record = read_record(self._folder, self._case)
        paths = (self._folder / name for name in mask_names(self._case))
        return tuple(path.name for path in paths if path.is_file() and not _is_own(path, record))

    def notes(self, made: str = "") -> tuple[str, ...]:
        """Say where they are. One that equals the mask `made` goes: a command that was killed had made the same."""
        aside = self._aside or {}
        if made in aside and digest_of_file(aside[made]) == digest_of_file(self._folder / made):
            aside.pop(made).unlink()
        return (
            *(f"{name} was not as segment had made it: it is kept as {path.name}" for name, path in aside.items()),
            *(f"{name} is not as segment had made it, and stays" for name in self.names()),
        )


def _is_own(path: Path, record: SegmentedScan | None) -> bool:
    return record is not None and path.name == record.mask and digest_of_file(path) == record.mask_sha256


def _free(folder: Path, case: str, name: str) -> Path:
    """Return a path that nothing lies at, with the ending of a mask's name."""
    words = (SET_ASIDE if number == 1 else f"{SET_ASIDE}-{number}" for number in count(1))
    paths = (folder / f"{case}{word}{name[len(case) :]}" for word in words)
    return next(path for path in paths if not path.exists())
