"""The digest of a data folder: which files a layout finds in it, and what is in each of them."""

from __future__ import annotations

import json
from pathlib import Path

from medseg.files.layouts import DataSettings, find_cases
from medseg.pipeline.store import Source, unwritable, write_whole
from medseg.values.digests import digest_of, digest_of_file
from medseg.values.error import wrong_setting


def data_source(settings: DataSettings, store: Path) -> Source:
    """Return the data folder as an input: its digest covers the content of every file that belongs to a case.

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
    remembered = FileDigests(store / "files.json")
    listing = {}
    for case in found.cases:
        channels = {name: [str(one.path), one.component, one.volumes] for name, one in sorted(case.channels.items())}
        named = [one.path for one in case.channels.values()] + ([case.mask] if case.mask else [])
        paths = sorted({partner for path in named for partner in partners(path)})
        digests = {str(path): remembered.digest(root / path) for path in paths}
        listing[case.case] = {"subject": case.subject, "channels": channels, "mask": str(case.mask), "files": digests}
    remembered.save()
    shape = {"layout": found.layout, "channels": list(found.channels), "labels": dict(found.labels or {})}
    return Source(root, digest_of({**shape, "cases": listing}))


def partners(path: Path) -> tuple[Path, ...]:
    """Return the file and, of a header/image pair, the other half."""
    if path.suffix in {".hdr", ".img"}:
        return path.with_suffix(".hdr"), path.with_suffix(".img")
    return (path,)


class FileDigests:
    """Digests of files, remembered by path, size, time of change and inode."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[str, list[object]] = {}
        if path.is_file():
            self.known = json.loads(path.read_text(encoding="utf-8"))

    def digest(self, file: Path) -> str:
        """Return the SHA-256 of a file, "missing" where there is none."""
        if not file.is_file():
            return "missing"
        state = file.stat()
        stamp = [state.st_size, state.st_mtime_ns, state.st_ino]
        known = self.known.get(str(file.resolve()))
        if known is None or known[:3] != stamp:
            known = [*stamp, digest_of_file(file)]
            self.known[str(file.resolve())] = known
        return str(known[3])

    def save(self) -> None:
        """Write what is known for the next time."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, json.dumps(self.known))
        except OSError as error:
            raise unwritable(self.path.parent, error) from error
