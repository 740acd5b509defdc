"""What lies in the store, and taking away what is no longer wanted."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from medseg.pipeline.store import MANIFEST, lock_of

# Folders that stages, drafts and memos have below a store. In a folder that is named by mistake nothing is ours.
_OURS = re.compile(r"drafts/[a-z_]+-[0-9a-f]{32}|(?!drafts/)[a-z_]+/[0-9a-f]{32}|memo/shared|looks/listings")


@dataclass(frozen=True, slots=True)
class Entry:
    """One finished result or abandoned draft in the store."""

    stage: str
    item: str
    folder: Path
    size_mb: float
    age_days: float
    draft: bool


def entries(root: Path) -> list[Entry]:
    """List everything in the store, oldest first; an absent store is empty, and what no store makes is passed over."""
    folders = [path for path in root.glob("*/*") if _OURS.fullmatch(path.relative_to(root).as_posix())]
    found = [_entry(folder) for folder in folders if folder.is_dir() and not folder.is_symlink()]
    return sorted(found, key=lambda entry: -entry.age_days)


def remove(entry: Entry) -> bool:
    """Delete one result or draft, and tell whether it is gone: what is being worked on now stays.

    Runs keep their own links to the files.
    """
    lock = lock_of(entry.folder.parent.parent, entry.folder.name)
    if not lock.is_file():
        shutil.rmtree(entry.folder)
        return True
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        shutil.rmtree(entry.folder)
    return True


def _entry(folder: Path) -> Entry:
    files = [found for found in map(_state, folder.rglob("*")) if found is not None and S_ISREG(found.st_mode)]
    size = sum(file.st_size for file in files)
    newest = max((file.st_mtime for file in files), default=folder.stat().st_mtime)
    draft = folder.parent.name == "drafts"
    stage = folder.name.rsplit("-", 1)[0] if draft else folder.parent.name
    return Entry(stage, _item(folder / MANIFEST), folder, size / 1e6, (time.time() - newest) / 86400, draft)


def _state(path: Path) -> os.stat_result | None:
    """Return what the system says of a file; None of one that has gone meanwhile, as drafts do."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _item(manifest: Path) -> str:
    """Return the case of a result; none of a draft, of what has no manifest, and of a damaged one."""
    try:
        return str(json.loads(manifest.read_text(encoding="utf-8"))["item"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""
