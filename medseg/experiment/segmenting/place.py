"""The folder that masks go to: one command at a time works in it, and nothing in it is lost by mistake."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from medseg.experiment.claiming import claimed
from medseg.experiment.segmenting.writing import own_names
from medseg.files.layouts.find import FoundCase
from medseg.values.error import wrong_setting

LISTING, PAGE = "segment.json", "segment.html"
DIGESTS = ".medseg-digests.json"
_MARK = ".medseg-segment"
_DRAFT = re.compile(r"^(\..+\.\d+\.\d+\.part|.+\.[0-9a-f]{16}\.draft)$", re.DOTALL)


@contextmanager
def opened(out: Path, images: Path, scans: Path, cases: Sequence[FoundCase]) -> Iterator[None]:
    """Make the folder `out` and keep it from other commands; what a killed one left half-written is cleaned away.

    images: the path of the scans, of which the `cases` have paths below `scans`. Refuses (exit 2) a folder that cannot
    be written to, one that holds the scans, one in which another command is at work, and one with files of the names of
    masks that no `segment` has put there: they may be somebody's only ones.
    """
    _check_apart(out, images, scans, cases)
    with claimed(out, _MARK, "masks", lambda: _check_ours(out, cases)):
        for name in os.listdir(out):
            if _DRAFT.match(name):
                (out / name).unlink()
        yield


def _check_apart(out: Path, images: Path, scans: Path, cases: Sequence[FoundCase]) -> None:
    """Refuse a folder of scans: a mask could take the place of its scan."""
    files = (scans / file.path for case in cases for file in case.channels.values())
    folders = {images, *(path.parent for path in files if not path.is_dir())}
    if out.resolve() in {folder.resolve() for folder in folders}:
        raise wrong_setting("out", "masks go to another folder than the scans", out, "name another folder")


def _check_ours(out: Path, cases: Sequence[FoundCase]) -> None:
    there = set(os.listdir(out))
    if there & {_MARK, LISTING}:
        return
    taken = sorted(there & {name for case in cases for name in (*own_names(case.case), f"{case.case}.json")})
    if taken:
        rule = "a folder that is new, or that segment has made, is needed"
        raise wrong_setting("out", rule, f"{out}, which holds {taken[0]}", "name another folder")
