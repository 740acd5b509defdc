"""All kinds of bad and odd files, by name.

    python -m tests.intake.bad_files FOLDER

writes one of each into a folder of its own below FOLDER and prints what becomes of it, as a table.
"""

from __future__ import annotations

import sys
from pathlib import Path

from medseg.files.reading import AS_IT_IS, Reading
from medseg.files.scan_values import Scan
from medseg.files.scans import scan_image, scan_mask
from medseg.values.error import Refusal
from tests.intake.dicom_files import DICOM
from tests.intake.kinds import Kind
from tests.intake.meta_files import META
from tests.intake.nifti_headers import HEADERS
from tests.intake.nifti_streams import STREAMS
from tests.intake.nifti_voxels import VOXELS
from tests.intake.nrrd_files import NRRD
from tests.intake.seg_files import SEG

KINDS: tuple[Kind, ...] = (*STREAMS, *HEADERS, *VOXELS, *NRRD, *META, *DICOM, *SEG)


def scan(kind: Kind, path: Path, reading: Reading = AS_IT_IS) -> Scan:
    """Read a file through the door, as the kind of thing that it is."""
    if kind.what == "mask":
        return scan_mask(path, reading, kind.limit)
    return scan_image(path, kind.component, reading)


def outcome(kind: Kind, path: Path) -> str:
    """Return what becomes of a file, in a few words."""
    try:
        found = scan(kind, path)
    except Refusal as refusal:
        return f"refused: {refusal.rule}, got {refusal.value}; {refusal.remedy}"
    notes = "; ".join(f"{one.severity}: {one.rule}, {one.value}" for one in found.findings)
    return f"read{': ' if notes else ''}{notes}"


def main(folder: Path) -> None:
    """Make one of each and print the table."""
    sys.stdout.write("| kind | outcome |\n|---|---|\n")
    for number, kind in enumerate(KINDS):
        place = folder / f"{number:03d}"
        place.mkdir(parents=True, exist_ok=True)
        found = outcome(kind, kind.make(place).path).replace(f"{folder}/", "").replace("|", "/")
        sys.stdout.write(f"| {kind.name} | {found} |\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
