"""The files of a DICOM folder: which hold images, which are left out, which must not be passed over."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from medseg.files.foreign.claim import note_of
from medseg.files.foreign.dicom.elements import FETCH, is_dicom_file
from medseg.files.foreign.dicom.file import DicomFile, read_file
from medseg.files.scan_names import DICOM_ENDINGS
from medseg.values.error import Refusal
from medseg.values.finding import Finding

_LOOKED_AT = 8
_OTHER_ENDING = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,7}$")


def is_dicom_folder(path: Path) -> bool:
    """Tell whether one of the first few regular files of a folder, is DICOM; names like those of slices go first."""
    try:
        files = sorted(files_of(path), key=_is_named_otherwise) if path.is_dir() else ()
        return any(is_dicom_file(file) for file in islice(files, _LOOKED_AT))
    except OSError:
        return False


def files_of(folder: Path) -> list[Path]:
    """Return the regular files of a folder by name, hidden ones left out."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file()]
    return [folder / name for name in sorted(names)]


def open_files(path: Path) -> tuple[list[DicomFile], tuple[Finding, ...]]:
    """Return the files with pixels, and a note on those that were left out.

    A file whose name could be that of a slice, but that is none, may be a damaged slice: it is refused.
    """
    if not path.is_dir():
        file = read_file(path)
        if file is None:
            raise Refusal(str(path), "has pixels", "none", "name a file with an image, or the folder of the series")
        return [file], ()
    files: list[DicomFile] = []
    others: list[str] = []
    for one in files_of(path):
        file = read_file(one) if is_dicom_file(one) or not _is_named_otherwise(one) else None
        if file is None:
            others.append(one.name)
        else:
            files.append(file)
    if not files:
        raise Refusal(str(path), "the folder holds DICOM images", "none", "name the folder of a series")
    _refuse_damaged(path, files, others)
    return files, left_out(others, "files of the folder are DICOM images")


def _refuse_damaged(path: Path, files: Sequence[DicomFile], others: Sequence[str]) -> None:
    """Refuse files without DICOM's mark that are named like those that have it."""
    endings = {file.path.suffix.lower() for file in files}
    for name in others:
        if Path(name).suffix.lower() in endings and not is_dicom_file(path / name):
            raise Refusal(str(path / name), "is a DICOM file (DICM at byte 128)", "another mark", FETCH)


def _is_named_otherwise(path: Path) -> bool:
    """Tell whether a name has an ending of letters that is not one of DICOM's."""
    return bool(_OTHER_ENDING.search(path.name)) and not path.name.lower().endswith(DICOM_ENDINGS)


def left_out(names: Sequence[str], rule: str) -> tuple[Finding, ...]:
    """Return a note on files that were left out, none where there are none."""
    if not names:
        return ()
    value = f"{len(names)} that are none, like {names[0]}"
    return (note_of(rule, value, "they were left out"),)
