"""NIfTI images and masks: read whole or refused."""

from __future__ import annotations

from pathlib import Path

from medseg.files.nifti.door import Source, check_image_size, entered, parts_of
from medseg.files.nifti.voxels import Voxels, read_labels, read_numbers
from medseg.files.reading import AS_IT_IS, Reading, Repair, override
from medseg.files.scan_values import Heading, Scan
from medseg.values.error import Refusal
from medseg.values.finding import Finding
from medseg.values.volume import Volume

__all__ = ["parts_of", "read_heading", "scan_image", "scan_mask"]

_MASK_RATIO = 8


def read_heading(path: Path, reading: Reading = AS_IT_IS) -> Heading:
    """Read and check the header, and that the files have the size it claims (as far as a packed one tells)."""
    with entered(path, reading) as source:
        header = source.header
        return Heading(header.grid, header.volumes, header.affine, header.findings)


def scan_image(path: Path, component: int = 0, reading: Reading = AS_IT_IS, as_stored: bool = False) -> Scan:
    """Read one volume of an image as float32 `(1, X, Y, Z)` on the file's own grid, slope and intercept applied.

    `component` picks one volume of a 4-D file, or one component of vectors. `as_stored` leaves the voxels in memory in
    the order of the file (x fastest), which saves turning them; else they are C-contiguous. Refuses damaged files,
    voxels that are not finite, and what claims to be more than 500 times as large as it is on disk (16 MiB are always
    taken).
    """
    with entered(path, reading) as source:
        volumes = source.header.volumes
        if not 0 <= component < volumes:
            raise Refusal(str(path), f"has a volume number {component}", f"{volumes} volumes", "name another one")
        check_image_size(source)
        return _scan(source, read_numbers(source, component, reading.repair, "F" if as_stored else "C"), reading)


def scan_mask(
    path: Path, reading: Reading = AS_IT_IS, limit_voxels: int | None = None, as_stored: bool = False
) -> Scan:
    """Read a mask as uint8 `(1, X, Y, Z)` on the file's own grid, C-contiguous or, `as_stored`, in the file's order.

    `limit_voxels` is the size of the image: a mask that claims more than eight times as many voxels is refused
    before memory is taken for it. Refuses damaged files, several volumes, and values that are no whole numbers in
    0..255.
    """
    with entered(path, reading) as source:
        first = _first_of_many(source, reading)
        _check_mask_size(source, limit_voxels)
        voxels = read_labels(source, reading.repair, "F" if as_stored else "C")
        if first:
            voxels = Voxels(voxels.array, (first, *voxels.findings), ("first_volume", *voxels.repairs))
        return _scan(source, voxels, reading)


def _first_of_many(source: Source, reading: Reading) -> Finding | None:
    """Return the finding that a mask's first volume stands for several, None where there is only one."""
    volumes = source.header.volumes
    if volumes == 1:
        return None
    rule, value, setting = "a mask is one volume", f"{volumes} volumes", override("first_volume")
    if "first_volume" not in reading.repair:
        remedy = f"join them into one, or take the first with {setting}"
        raise Refusal(str(source.path), rule, value, remedy, override=setting)
    return Finding(severity="note", rule=rule, value=value, remedy="the first was taken", override=setting)


def _check_mask_size(source: Source, limit_voxels: int | None) -> None:
    if limit_voxels is not None and source.header.voxels > _MASK_RATIO * limit_voxels:
        rule = f"a mask has at most {_MASK_RATIO} times the voxels of its image"
        value = f"{source.header.voxels} for {limit_voxels}"
        raise Refusal(str(source.path), rule, value, "resample the mask to the image")


def _scan(source: Source, voxels: Voxels, reading: Reading) -> Scan:
    header = source.header
    repairs: tuple[Repair, ...] = (*header.applied.repair, *voxels.repairs)
    assumed = header.applied.assume_orientation is not None
    applied = reading.only(*repairs, orientation=assumed) if repairs or assumed else AS_IT_IS
    return Scan(Volume(voxels.array[None], header.affine), (*header.findings, *voxels.findings), applied)
