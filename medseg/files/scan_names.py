"""Which names are scans, what is left of a name without its ending, and which files one scan is made of."""

from __future__ import annotations

NIFTI_ENDINGS = (".nii.gz", ".nii", ".hdr.gz", ".hdr", ".img.gz", ".img")
FOREIGN_ENDINGS = (".nrrd", ".nhdr", ".mha", ".mhd")
DICOM_ENDINGS = (".dcm", ".dicom", ".ima")
_SECOND_HALVES = (".img.gz", ".img")


def ending_of(name: str) -> str:
    """Return the ending of a scan's file name as it stands in the name, "" where it has none that is known."""
    low = name.lower()
    for ending in (*NIFTI_ENDINGS, *FOREIGN_ENDINGS, *DICOM_ENDINGS):
        if low.endswith(ending):
            return name[len(name) - len(ending) :]
    return ""


def stem_of(name: str) -> str:
    """Return a file name without the ending of a scan; other names come back whole."""
    ending = ending_of(name)
    return name[: -len(ending)] if ending else name


def is_scan_name(name: str) -> bool:
    """Tell whether a file of this name is a scan of its own: hidden files and second halves of pairs are none."""
    ending = ending_of(name).lower()
    return bool(ending) and ending not in _SECOND_HALVES and not name.startswith(".")
