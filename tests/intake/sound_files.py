"""Sound files of every family, for the fuzzer to spoil."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import nibabel
import numpy as np

from tests.intake.dicom_bytes import series
from tests.intake.kinds import AFFINE, FLOATS, FOUR, IMAGE, LABELS, Array, Made
from tests.intake.meta_files import meta
from tests.intake.nifti_bytes import nifti, pair
from tests.intake.nrrd_files import nrrd

Family = Literal["nifti", "nrrd", "meta", "dicom"]
FAMILIES: tuple[Family, ...] = ("nifti", "nrrd", "meta", "dicom")


@dataclass(frozen=True)
class Sample:
    """A sound scan: its files by name, and the name by which it is opened ("" for their folder)."""

    files: Mapping[str, bytes]
    opened: str


def _sample(make: Callable[[Path], Made]) -> Sample:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = make(folder).path
        inside = path if path.is_dir() else folder
        files = {one.name: one.read_bytes() for one in sorted(inside.iterdir())}
        return Sample(files, "" if path.is_dir() else path.name)


@cache
def samples(family: Family) -> tuple[Sample, ...]:
    """Return the sound files of a family, a few kilobytes each."""
    return tuple(_sample(make) for make in _MAKERS[family])


def _of(**more: object) -> Callable[[Path], Made]:
    return lambda folder: nifti(folder, **more)  # type: ignore[arg-type]


def _qform(folder: Path) -> Made:
    image = nibabel.Nifti1Image(FLOATS, AFFINE)
    image.set_qform(np.diag([2.0, 3, 4, 1]), 1)
    image.set_sform(None, 0)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"taken at noon"))
    image.to_filename(folder / "scan.nii.gz")
    return Made(folder / "scan.nii.gz")


_SMALL: Array = IMAGE[:, :, :3]
_MAKERS: Mapping[Family, tuple[Callable[[Path], Made], ...]] = {
    "nifti": (
        *[_of(voxels=one, name=name) for one in (IMAGE, FLOATS, LABELS, FOUR) for name in ("scan.nii", "scan.nii.gz")],
        *[_of(voxels=IMAGE, two=two, order=order) for two in (False, True) for order in "<>"],
        *[
            _of(voxels=FLOATS.astype("f8"), two=two, order=order, name="scan.nii")
            for two in (False, True)
            for order in "<>"
        ],
        _of(scl_slope=0.5, scl_inter=-3),
        _of(voxels=np.zeros((40, 40, 40), np.uint8)),
        lambda folder: pair(folder, ".hdr"),
        lambda folder: pair(folder, ".img"),
        lambda folder: pair(folder, ".hdr", packed=True),
        _qform,
    ),
    "nrrd": (
        nrrd,
        lambda folder: nrrd(folder, encoding="raw"),
        lambda folder: nrrd(folder, encoding="raw", data_file="voxels.raw"),
        lambda folder: nrrd(folder, voxels=LABELS, order=">"),
        lambda folder: nrrd(folder, voxels=FLOATS, encoding="raw", order=">"),
    ),
    "meta": (
        meta,
        lambda folder: meta(folder, packed=False),
        lambda folder: meta(folder, packed=False, ElementDataFile="voxels.raw"),
        lambda folder: meta(folder, voxels=LABELS, ElementDataFile="voxels.zraw"),
        lambda folder: meta(folder, voxels=FLOATS, packed=False, order=">"),
    ),
    "dicom": (
        lambda folder: series(folder, voxels=_SMALL),
        lambda folder: series(folder, voxels=np.abs(_SMALL).astype(np.uint16), modality="MR"),
        lambda folder: series(folder, voxels=_SMALL, syntax="1.2.840.10008.1.2"),
    ),
}
