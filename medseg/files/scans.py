"""The one door for scans of every format: checked, read whole, or refused."""

from __future__ import annotations

from pathlib import Path

from medseg.files.foreign import scan as foreign
from medseg.files.nifti import scan as nifti
from medseg.files.reading import AS_IT_IS, Reading
from medseg.files.scan_names import NIFTI_ENDINGS, ending_of
from medseg.files.scan_values import Heading, Scan
from medseg.values.digests import digest_of, digest_of_file
from medseg.values.volume import Volume

__all__ = ["digest_of_scan", "parts_of", "read_heading", "read_image", "read_mask", "scan_image", "scan_mask"]


def read_heading(path: Path, reading: Reading = AS_IT_IS) -> Heading:
    """Read and check what the header claims, without reading voxels; refuses what cannot be a scan."""
    return nifti.read_heading(path, reading) if _is_nifti(path) else foreign.read_heading(path, reading)


def scan_image(path: Path, component: int = 0, reading: Reading = AS_IT_IS, as_stored: bool = False) -> Scan:
    """Read one volume of an image as float32 `(1, X, Y, Z)` on its own grid, with what was noticed on the way.

    The voxels are C-contiguous, unless they may lie in memory `as_stored`: the same numbers, in less time.
    """
    if _is_nifti(path):
        return nifti.scan_image(path, component, reading, as_stored)
    return foreign.scan_image(path, component, reading)


def scan_mask(
    path: Path, reading: Reading = AS_IT_IS, limit_voxels: int | None = None, as_stored: bool = False
) -> Scan:
    """Read a mask as uint8 `(1, X, Y, Z)` on its own grid, with what was noticed on the way.

    `limit_voxels` is the size of its image: a mask that claims eight times as many is refused before it is unpacked.
    The voxels are C-contiguous, unless they may lie in memory `as_stored`: the same numbers, in less time.
    """
    if _is_nifti(path):
        return nifti.scan_mask(path, reading, limit_voxels, as_stored)
    return foreign.scan_mask(path, reading, limit_voxels)


def read_image(path: Path, component: int = 0, reading: Reading = AS_IT_IS) -> Volume:
    """Read one volume of an image as float32 `(1, X, Y, Z)` on its own grid."""
    return scan_image(path, component, reading).volume


def read_mask(path: Path, reading: Reading = AS_IT_IS) -> Volume:
    """Read a mask as uint8 `(1, X, Y, Z)` on its own grid."""
    return scan_mask(path, reading).volume


def parts_of(path: Path) -> tuple[Path, ...]:
    """Return every file that a scan is made of, by name: two of a header/image pair, the slices of a DICOM folder.

    Files that should be there and are not are left out; reading the scan refuses it.
    """
    return nifti.parts_of(path) if _is_nifti(path) else foreign.parts_of(path)


def digest_of_scan(path: Path) -> str:
    """Return the SHA-256 over all files of a scan: of the file itself where it is one file."""
    parts = parts_of(path)
    if parts == (path,):
        return digest_of_file(path)
    return digest_of({part.name: digest_of_file(part) for part in parts})


def _is_nifti(path: Path) -> bool:
    """A file of unknown name without DICOM's mark is taken for NIfTI, whose door looks at its first bytes."""
    ending = ending_of(path.name).lower()
    return ending in NIFTI_ENDINGS or (not ending and not path.is_dir() and not foreign.is_dicom_file(path))
