"""DICOM series by pydicom, slice by slice, for tests to spoil."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, PositronEmissionTomographyImageStorage

from tests.intake.kinds import LPS_TO_RAS, Array, Made

UID = "1.2.826.0.1.3680043.8.498.1"
CLASSES = {"CT": CTImageStorage, "MR": MRImageStorage, "PT": PositronEmissionTomographyImageStorage}
STORED: Array = np.random.default_rng(21).integers(-1000, 1000, (8, 7, 6)).astype(np.int16)  # (X, Y, Z)
EDGES_MM = (0.75, 0.5, 2.5)  # along a row, along a column, from slice to slice
COS, SIN = np.cos(0.4), np.sin(0.4)
ROW, COLUMN, NORMAL = np.array([1.0, 0, 0]), np.array([0, COS, SIN]), np.array([0, -SIN, COS])
START = np.array([-31.5, 12.25, 100.0])

Change = Callable[[Dataset, int], None]


def affine() -> Array:
    """Return the affine (RAS+ mm) of a sound series, in the order rows' x, columns' y, slices along the normal."""
    lps = np.eye(4)
    lps[:3, :3] = np.stack([ROW * EDGES_MM[0], COLUMN * EDGES_MM[1], NORMAL * EDGES_MM[2]], axis=1)
    lps[:3, 3] = START
    return np.asarray(LPS_TO_RAS @ lps)


def one_slice(number: int, modality: str = "CT", voxels: Array = STORED) -> Dataset:
    """Return slice `number` of a sound series."""
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = CLASSES[modality], f"{UID}.3.{number + 1}"
    data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = f"{UID}.1", f"{UID}.2", f"{UID}.4"
    data.Modality, data.PatientID, data.PatientName = modality, "nobody", "Nobody^Known"
    data.InstanceNumber, data.SeriesNumber = number + 1, 1
    data.ImageOrientationPatient = [repr(float(v))[:16] for v in (*ROW, *COLUMN)]
    data.ImagePositionPatient = [repr(float(v))[:16] for v in START + number * EDGES_MM[2] * NORMAL]
    data.PixelSpacing = [EDGES_MM[1], EDGES_MM[0]]
    data.SliceThickness = EDGES_MM[2]
    data.Rows, data.Columns, data.SamplesPerPixel = voxels.shape[1], voxels.shape[0], 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8 * voxels.itemsize
    data.HighBit, data.PixelRepresentation = 8 * voxels.itemsize - 1, int(voxels.dtype.kind == "i")
    data.RescaleIntercept, data.RescaleSlope = "-24", "1"
    data.PixelData = voxels[:, :, number].T.tobytes()
    return data


def save(data: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> None:
    """Write one slice as a DICOM file."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = data.SOPClassUID, data.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    data.file_meta = meta
    data.save_as(path, enforce_file_format=True, little_endian=None, implicit_vr=None)


def series(
    folder: Path,
    change: Change | None = None,
    modality: str = "CT",
    voxels: Array = STORED,
    leave_out: tuple[int, ...] = (),
    syntax: str = ExplicitVRLittleEndian,
    name: Callable[[int], str] = "slice_{:03d}.dcm".format,
    expect: Array | None = None,
) -> Made:
    """Write a series into a folder of its own; `change` alters each slice before it is written."""
    (folder / "series").mkdir(exist_ok=True)
    for number in range(voxels.shape[2]):
        data = one_slice(number, modality, voxels)
        if change:
            change(data, number)
        if number not in leave_out:
            save(data, folder / "series" / name(number), syntax)
    return Made(folder / "series", voxels.astype(np.float32) - 24 if expect is None else expect, affine())


def having(only: int | None = None, **values: Any) -> Change:
    """Give all slices (or only one) other values; None takes the element away."""

    def change(data: Dataset, number: int) -> None:
        if only is None or number == only:
            for name, value in values.items():
                if value is None:
                    delattr(data, name)
                else:
                    setattr(data, name, value)

    return change


def moved(numbers: dict[int, float]) -> Change:
    """Move slices along the normal, by so many steps."""

    def change(data: Dataset, number: int) -> None:
        at = START + (number + numbers.get(number, 0.0)) * EDGES_MM[2] * NORMAL
        data.ImagePositionPatient = [repr(float(v))[:16] for v in at]

    return change
