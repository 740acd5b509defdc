"""Scans that are no NIfTI (NRRD, MetaImage, DICOM): checked here, read in a child process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path

from medseg.files.foreign import voxels
from medseg.files.foreign.claim import FETCH, Claim, note_of
from medseg.files.foreign.dicom import series
from medseg.files.foreign.dicom.elements import is_dicom_file
from medseg.files.foreign.dicom.folder import files_of, is_dicom_folder
from medseg.files.foreign.metaimage import read_meta
from medseg.files.foreign.nrrd import read_nrrd
from medseg.files.foreign.planes import planes_of
from medseg.files.foreign.stored import check_density, check_limit, check_size
from medseg.files.nifti.affine import Position, check_choices
from medseg.files.reading import Reading, override
from medseg.files.scan_names import DICOM_ENDINGS, ending_of
from medseg.files.scan_values import Heading, Scan
from medseg.values.error import Refusal
from medseg.values.finding import Finding

__all__ = ["is_dicom_file", "is_dicom_folder", "parts_of", "read_heading", "scan_image", "scan_mask"]

_HEADERS = (".nhdr", ".mhd")


def read_heading(path: Path, reading: Reading) -> Heading:
    """Read and check what the header claims, against the size of its files; nothing is unpacked."""
    with _door(path):
        check_choices(reading)
        if _is_dicom(path):
            return series.read_heading(path, reading)
        claim = _claim(path, reading)
        return Heading(claim.grid, claim.volumes, claim.position.affine, claim.position.findings)


def scan_image(path: Path, component: int, reading: Reading) -> Scan:
    """Read one volume of an image as float32 `(1, X, Y, Z)`; refuses what is damaged, cut or not finite."""
    with _door(path):
        check_choices(reading)
        if _is_dicom(path):
            return series.scan_image(path, component, reading)
        claim = _claim(path, reading)
        if not 0 <= component < claim.volumes:
            rule, value = f"has a volume number {component}", f"{claim.volumes} volumes"
            raise Refusal(str(path), rule, value, "name another one")
        check_density(path, claim.total_bytes, claim.data)
        return voxels.image_of(path, planes_of(claim, component, widest=4), claim.grid, claim.position, reading)


def scan_mask(path: Path, reading: Reading, limit_voxels: int | None = None) -> Scan:
    """Read a mask as uint8 `(1, X, Y, Z)`.

    `limit_voxels` is the size of its image: a mask that claims more than 8 times as many is refused unread.
    """
    with _door(path):
        check_choices(reading)
        if _is_dicom(path):
            return series.scan_mask(path, reading, limit_voxels)
        claim = _claim(path, reading)
        check_limit(path, prod(claim.grid), limit_voxels)
        position = _first_volume(claim, reading)
        return voxels.mask_of(path, planes_of(claim, 0, widest=1), claim.grid, position, reading)


def parts_of(path: Path) -> tuple[Path, ...]:
    """Return the files of a scan by name: header and data file, or all regular files of a DICOM folder."""
    if path.is_dir():
        return tuple(files_of(path))
    if path.suffix.lower() in _HEADERS:
        try:
            with _door(path):
                found = _data_of(path)
        except Refusal:
            return (path,)
        return tuple(sorted({path, found}))
    return (path,)


def _claim(path: Path, reading: Reading) -> Claim:
    low = path.name.lower()
    if low.endswith((".nrrd", ".nhdr")):
        claim = read_nrrd(path, reading)
    elif low.endswith((".mha", ".mhd")):
        claim = read_meta(path, reading)
    else:
        value = "a folder without DICOM files" if path.is_dir() else path.name
        raise Refusal(str(path), "is a NIfTI, NRRD, MetaImage or DICOM scan", value, "convert it to one of these")
    check_size(claim)
    return claim


def _data_of(path: Path) -> Path:
    from medseg.files.foreign.metaimage import data_named as named_in_meta
    from medseg.files.foreign.nrrd import data_named as named_in_nrrd

    return (named_in_nrrd if path.suffix.lower() == ".nhdr" else named_in_meta)(path)


def _is_dicom(path: Path) -> bool:
    if path.is_dir():
        return is_dicom_folder(path)
    return ending_of(path.name).lower() in DICOM_ENDINGS or (not ending_of(path.name) and is_dicom_file(path))


def _first_volume(claim: Claim, reading: Reading) -> Position:
    """Return the position, with what is said of a mask of which only the first volume counts."""
    if claim.volumes == 1:
        return claim.position
    rule, value, setting = "a mask is one volume", f"{claim.volumes} volumes", override("first_volume")
    if "first_volume" not in reading.repair:
        remedy = f"join them into one, or take the first with {setting}"
        raise Refusal(str(claim.path), rule, value, remedy, override=setting)
    findings: tuple[Finding, ...] = (*claim.position.findings, note_of(rule, value, "the first was taken", setting))
    before = claim.position.applied
    applied = Reading(assume_orientation=before.assume_orientation, repair=(*before.repair, "first_volume"))
    return Position(claim.position.affine, findings, applied)


@contextmanager
def _door(path: Path) -> Iterator[None]:
    """Turn everything that a damaged file makes a reader raise into one `Refusal` that names the file."""
    try:
        if not path.is_file() and not path.is_dir():
            value = "no regular file" if path.exists() else "nothing there"
            raise Refusal(str(path), "is a file that exists", value, FETCH)
        yield
    except (Refusal, MemoryError):
        raise
    except OSError as error:
        raise Refusal(str(path), "the file can be read", error.strerror or error, "check path and rights") from error
    except Exception as error:
        value = f"{type(error).__name__} ({error})"
        raise Refusal(str(path), "the file is a readable scan", value, FETCH) from error
