"""The digest of a data folder: which files a layout finds in it, and what is in each of them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from medseg.files.layouts.find import DataSettings, find_cases
from medseg.files.listing import digest_or_reason, folder_of, is_digest, listing_of, scan_paths
from medseg.files.scans import parts_of
from medseg.pipeline.store import Source, unwritable, write_whole
from medseg.values.digests import digest_of
from medseg.values.error import wrong_setting
from medseg.values.machine import Machine
from medseg.values.progress import tell


@dataclass(frozen=True, slots=True)
class DataSource:
    """The data folder, and the list of what was found in it: both carry the digest of all of its scans."""

    folder: Source
    listing: Source

    @property
    def inputs(self) -> dict[str, Source]:
        """What the index stage reads."""
        return {"data": self.folder, "listing": self.listing}

    @property
    def text(self) -> str:
        """Return it as text, for another process."""
        return json.dumps([str(self.folder.path), str(self.listing.path), self.folder.digest])

    @staticmethod
    def read(text: str) -> DataSource:
        """Return what `text` described."""
        folder, listing, digest = json.loads(text)
        return DataSource(Source(Path(folder), digest), Source(Path(listing), digest))


def data_source(settings: DataSettings, store: Path, machine: Machine) -> DataSource:
    """Find the scans of a data set; the digest covers the content of every file that belongs to a case.

    A file whose size, time of change and inode are as before is not read again.
    """
    if not settings.root:
        raise wrong_setting(
            "data.root",
            "a folder of scans is needed",
            settings.root,
            "set data.root=DIR, or use experiment=phantom for generated scans",
        )
    root = Path(settings.root)
    found = find_cases(root, settings)
    paths = scan_paths(found)
    remembered = FileDigests(store / "files.json")
    digests = remembered.digests([folder_of(root) / path for path in paths], machine.readers)
    remembered.save()
    text = listing_of(found, dict(zip(paths, digests, strict=True))).model_dump_json()
    digest = digest_of(text)
    place = store / "looks" / "listings" / f"{digest[:32]}.json"
    if not place.is_file():
        _write(place, text)
    return DataSource(Source(root, digest), Source(place, digest))


class FileDigests:
    """Digests of scans, remembered by the path, size, time of change and inode of each file they are made of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known = _remembered(path)
        self.changed = False

    def digests(self, scans: Sequence[Path], readers: int) -> list[str]:
        """Return the SHA-256 of each scan, in their order; files that have changed are read, several at once."""
        found = []
        with ThreadPoolExecutor(readers, thread_name_prefix="digests") as pool:
            for done, digest in enumerate(pool.map(self.digest, scans), start=1):
                found.append(digest)
                tell("files", done, len(scans), "scans")
        return found

    def save(self) -> None:
        """Write what is known for the next time."""
        if self.changed:
            _write(self.path, json.dumps(self.known))
            self.changed = False

    def digest(self, scan: Path) -> str:
        """Return the SHA-256 of one scan; of one that cannot be read, why not."""
        try:
            stamp = [list(_stamp(part)) for part in parts_of(scan)]
        except OSError:
            return digest_or_reason(scan)
        name = os.path.abspath(scan)
        known = self.known.get(name)
        if known is not None and known[0] == stamp:
            return str(known[1])
        digest = digest_or_reason(scan)
        if is_digest(digest):  # rights can be mended without a change of time
            self.known[name] = [stamp, digest]
            self.changed = True
        return digest


def _stamp(path: Path) -> tuple[int, int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns, state.st_ino


def _remembered(path: Path) -> dict[str, list[object]]:
    """Read what is known; what is damaged is passed over, as it only saves reading scans again."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {name: known for name, known in pairs if isinstance(known, list) and len(known) == 2}


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError as error:
        raise unwritable(path.parent, error) from error
