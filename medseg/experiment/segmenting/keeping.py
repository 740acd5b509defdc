"""What is done already and need not be done again: found by what made it, and by its bytes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from medseg.experiment.segmenting.place import DIGESTS
from medseg.experiment.segmenting.settings import Guard
from medseg.experiment.segmenting.sparing import STAYS, stays
from medseg.experiment.segmenting.writing import beside, mask_names
from medseg.experiment.sources import FileDigests
from medseg.files.layouts.find import FoundCase
from medseg.files.segmented import SegmentedScan, read_record
from medseg.report.review import warnings
from medseg.values.digests import digest_of, digest_of_file
from medseg.values.error import Refusal

_SECONDS_BETWEEN_SAVES = 10.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """All but the scan's own files that a mask depends on, as JSON, and what is to be done with unlike scans.

    `maps` are the files that are asked for beside a mask, by the words in their names.
    """

    parts: Mapping[str, object]
    guard: Guard
    maps: tuple[str, ...] = ()


class Keeper:
    """The records of a folder of masks, for scans whose paths lie below `scans`.

    Scans that have not changed since they were last read are known by size, time and inode, and are not read for it.
    """

    def __init__(self, out: Path, scans: Path, recipe: Recipe) -> None:
        self.out, self.scans, self.recipe = out, scans, recipe
        self._digests = FileDigests(out / DIGESTS)
        self._saved = time.monotonic()

    def made_from(self, case: FoundCase) -> str:
        """Return the digest of all that the mask of a case depends on; reads the scan where it is not known."""
        files = {
            name: [self._digests.digest(self.scans / file.path), file.component]
            for name, file in sorted(case.channels.items())
        }
        if time.monotonic() - self._saved > _SECONDS_BETWEEN_SAVES:
            self.save()
        return digest_of({"files": files, **self.recipe.parts})

    def save(self) -> None:
        """Write the digests of scans for the next time; without room for it they are found out again."""
        self._saved = time.monotonic()
        with suppress(Refusal):
            self._digests.save()

    def kept(self, case: str, made_from: str) -> SegmentedScan | None:
        """Return the record of a mask that was made from the same and lies there whole; None where it is to be made.

        What failed is tried again, and what the guard refused too. A mask that was made with a warning is none for a
        guard that refuses. A mask that somebody has changed stays, with a note.
        """
        record = read_record(self.out, case)
        if record is None or record.status != "done" or record.made_from != made_from:
            return None
        if warnings(record) and self.recipe.guard == "refuse":
            return None
        if not self._is_there(record):
            return None
        if digest_of_file(self.out / str(record.mask)) == record.mask_sha256:
            return record
        return record.model_copy(update={"notes": (*record.notes, STAYS)}) if stays(self.out, record) else None

    def was_made_otherwise(self, case: str, made_from: str) -> bool:
        """Tell whether a mask was made from other files, by another model or with other settings."""
        record = read_record(self.out, case)
        return record is not None and record.status == "done" and record.made_from != made_from

    def _is_there(self, record: SegmentedScan) -> bool:
        """Tell whether the mask and the maps that are asked for lie there."""
        if record.mask not in mask_names(record.case):
            return False
        maps = (beside(record.case, word) for word in self.recipe.maps)
        return all((self.out / name).is_file() for name in (record.mask, *maps))
