"""The folder of the scores: apart from what is read, one command at a time, and every file in it appears whole."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from medseg.experiment.claiming import claimed
from medseg.values.error import Refusal, wrong_setting

RECORD, SCORES, SUMMARY, PAGE = "evaluate.json", "scores.csv", "summary.json", "report.html"
PICTURES = "cases"
_MARK = ".medseg-evaluate"
_DRAFT = f"{_MARK}-"


@contextmanager
def opened(out: Path, read: Iterable[Path]) -> Iterator[Path]:
    """Make the folder `out`, keep other commands from it, and yield a folder inside for drafts; see `publish`.

    read: the folders that the command reads. Refuses (exit 2) an `out` that is one of them or lies in one, one that
    cannot be written to, one in which another command is at work, and one with scores that no `evaluate` has put there.
    """
    _check_apart(out, read)
    with claimed(out, _MARK, "scores", lambda: _check_ours(out)):
        for name in os.listdir(out):
            if name.startswith(_DRAFT):  # of a command that was killed
                shutil.rmtree(out / name)
        with tempfile.TemporaryDirectory(prefix=_DRAFT, dir=out) as draft:
            yield Path(draft)


def publish(draft: Path, out: Path) -> None:
    """Move all files of the draft into place, the record last; pictures of an earlier command go with it."""
    try:
        (out / RECORD).unlink(missing_ok=True)
        shutil.rmtree(out / PICTURES, ignore_errors=True)
        files = sorted((path for path in draft.rglob("*") if path.is_file()), key=lambda path: path.name == RECORD)
        for path in files:
            with path.open("rb") as file:
                os.fsync(file.fileno())
            target = out / path.relative_to(draft)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    except OSError as error:
        value = error.strerror or str(error)
        raise Refusal(str(out), "the scores can be written", value, "free space or choose another folder") from error


def _check_apart(out: Path, read: Iterable[Path]) -> None:
    place = out.resolve()
    for folder in read:
        whole = folder.resolve()
        if place == whole or whole in place.parents or whole == place / PICTURES:
            rule = "scores go to another folder than those that are read"
            raise wrong_setting("out", rule, f"{out}, which is or lies in {folder}", "name another folder")


def _check_ours(out: Path) -> None:
    there = set(os.listdir(out))
    taken = sorted(there & {SCORES, SUMMARY, PAGE, PICTURES})
    if taken and not there & {_MARK, RECORD}:
        rule = "a folder that is new, or that evaluate has made, is needed"
        raise wrong_setting("out", rule, f"{out}, which holds {taken[0]}", "name another folder")
