"""Which files a data set is made of, and the digest of each scan: what the index starts from, as one JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from medseg.files.layouts.find import find_cases
from medseg.files.layouts.values import ChannelFile, DataSettings, Found, FoundCase, Part
from medseg.files.scans import digest_of_scan
from medseg.values.error import Refusal
from medseg.values.settings import Settings

_UNREAD = "unread: "


class ListedFile(Settings):
    """One channel of one case."""

    path: str
    component: int
    volumes: int


class ListedCase(Settings):
    """A `FoundCase` as JSON."""

    case: str
    subject: str
    site: str | None
    group: str | None
    part: Part | None
    annotated: tuple[str, ...] | None
    channels: dict[str, ListedFile]
    mask: str | None


class Listing(Settings):
    """What a layout found, and `digests`: SHA-256 by the path of each scan, below the data root or absolute."""

    layout: str
    channels: tuple[str, ...]
    labels: dict[str, int]
    regions: dict[str, tuple[int, ...]]
    ignore: int | None
    cases: tuple[ListedCase, ...]
    digests: dict[str, str]

    @property
    def found(self) -> Found:
        """The layout's own value."""
        cases = tuple(_found_case(case) for case in self.cases)
        return Found(self.layout, self.channels, cases, self.labels, self.regions, self.ignore)


def scan_paths(found: Found) -> tuple[str, ...]:
    """Return the path of every scan that belongs to a case, each once, in the order of the cases."""
    paths: dict[str, None] = {}
    for case in found.cases:
        for file in case.channels.values():
            paths[file.path.as_posix()] = None
        if case.mask is not None:
            paths[case.mask.as_posix()] = None
    return tuple(paths)


def listing_of(found: Found, digests: Mapping[str, str]) -> Listing:
    """Join what was found with the digests of all its scans."""
    return Listing(
        layout=found.layout,
        channels=found.channels,
        labels=dict(found.labels),
        regions=dict(found.regions),
        ignore=found.ignore,
        cases=tuple(_listed_case(case) for case in found.cases),
        digests=dict(digests),
    )


def list_scans(root: Path, settings: DataSettings) -> Listing:
    """Find the cases below `root` and read every scan for its digest."""
    found = find_cases(root, settings)
    folder = folder_of(root)
    return listing_of(found, {path: digest_or_reason(folder / path) for path in scan_paths(found)})


def folder_of(root: Path) -> Path:
    """Return the folder that paths of a listing start from: the root, or that of a CSV file."""
    return root.parent if root.is_file() else root


def digest_or_reason(path: Path) -> str:
    """Return the digest of a scan; of one that cannot be read, why not: examining it gives the refusal."""
    try:
        return digest_of_scan(path)
    except OSError as error:
        return f"{_UNREAD}{error.strerror or error}"
    except Refusal as refusal:
        return f"{_UNREAD}{refusal.rule}, got {refusal.value}"


def is_digest(text: str) -> bool:
    """Tell a digest from the reason why there is none."""
    return not text.startswith(_UNREAD)


def _listed_case(case: FoundCase) -> ListedCase:
    channels = {
        name: ListedFile(path=file.path.as_posix(), component=file.component, volumes=file.volumes)
        for name, file in case.channels.items()
    }
    return ListedCase(
        case=case.case,
        subject=case.subject,
        site=case.site,
        group=case.group,
        part=case.part,
        annotated=case.annotated,
        channels=channels,
        mask=None if case.mask is None else case.mask.as_posix(),
    )


def _found_case(case: ListedCase) -> FoundCase:
    channels = {name: ChannelFile(Path(one.path), one.component, one.volumes) for name, one in case.channels.items()}
    mask = None if case.mask is None else Path(case.mask)
    return FoundCase(case.case, case.subject, channels, mask, case.site, case.group, case.part, case.annotated)
