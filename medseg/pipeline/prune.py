"""What lies in the store, and taking away what is no longer wanted."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from medseg.pipeline.store import MANIFEST


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
    """List everything in the store, oldest first; an absent store is empty."""
    folders = [path for path in root.glob("*/*") if path.is_dir() and path.parent.name not in {"last", "locks"}]
    return sorted((_entry(folder) for folder in folders), key=lambda entry: -entry.age_days)


def remove(entry: Entry) -> None:
    """Delete one result or draft; runs keep their own links to the files."""
    shutil.rmtree(entry.folder)


def _entry(folder: Path) -> Entry:
    files = [path.stat() for path in folder.rglob("*") if path.is_file()]
    size = sum(file.st_size for file in files)
    newest = max((file.st_mtime for file in files), default=folder.stat().st_mtime)
    draft = folder.parent.name == "drafts"
    manifest = folder / MANIFEST
    item = json.loads(manifest.read_text(encoding="utf-8"))["item"] if manifest.is_file() else ""
    stage = folder.name.rsplit("-", 1)[0] if draft else folder.parent.name
    return Entry(stage, item, folder, size / 1e6, (time.time() - newest) / 86400, draft)
