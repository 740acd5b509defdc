"""DICOM series made slice by slice with pydicom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom", reason="needs the extra medseg[dicom]")

CT, MR, PET = (f"1.2.840.10008.5.1.4.1.1.{number}" for number in ("2", "4", "128"))
EXPLICIT, IMPLICIT, BIG = (f"1.2.840.10008.1.2{end}" for end in (".1", "", ".2"))
RLE, JPEG_LS = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80"
STEP_MM = 2.5
# The plane of a slightly turned patient: row and column directions, and their normal.
ROW, COLUMN = np.array([0.8, 0.6, 0.0]), np.array([-0.6, 0.8, 0.0])
ROW_COLUMN = [*ROW.tolist(), *COLUMN.tolist()]
NORMAL = np.cross(ROW, COLUMN)
START = np.array([-10.0, -20.0, 30.0])
SPACING = (0.8, 0.7)
STORED = np.random.default_rng(2).integers(-1000, 1000, (9, 8, 6)).astype(np.int16)
AFFINE = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.vstack(
    [np.column_stack([ROW * SPACING[1], COLUMN * SPACING[0], NORMAL * STEP_MM, START]), [0, 0, 0, 1]]
)
Change = Callable[[Any, int], None]


def uid(*names: object) -> str:
    return str(pydicom.uid.generate_uid(entropy_srcs=[str(name) for name in names]))


def position(number: float) -> list[float]:
    return [float(f"{value:.6f}") for value in START + number * STEP_MM * NORMAL]


def one_slice(number: int, pixels: np.ndarray[Any, Any], sop: str = CT, series: str = "a") -> Any:
    """A slice of int16, uint8 ... pixels `(X, Y)`, in explicit little-endian syntax."""
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = EXPLICIT
    data.SOPClassUID, data.SOPInstanceUID = sop, uid(series, number)
    data.StudyInstanceUID, data.SeriesInstanceUID = uid("study"), uid("series", series)
    data.FrameOfReferenceUID, data.InstanceNumber = uid("frame of reference"), number + 1
    data.Modality, data.SeriesNumber = {CT: "CT", MR: "MR", PET: "PT"}.get(sop, "OT"), 4
    data.PatientName, data.PatientID, data.PatientBirthDate, data.PatientSex = "Secret^Name", "secret", "19500101", "O"
    data.StudyDate, data.StudyTime, data.StudyID, data.AccessionNumber = "20200102", "101112", "1", ""
    data.ReferringPhysicianName = ""
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Columns, data.Rows = pixels.shape
    data.BitsAllocated = data.BitsStored = 8 * pixels.itemsize
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(pixels.dtype.kind == "i")
    data.PixelSpacing, data.SliceThickness = list(SPACING), STEP_MM
    data.ImageOrientationPatient, data.ImagePositionPatient = ROW_COLUMN, position(number)
    data.PixelData = pixels.T.tobytes()
    data["PixelData"].VR = "OW" if pixels.itemsize > 1 else "OB"
    return data


def save(data: Any, path: Path, syntax: str = EXPLICIT) -> Path:
    """Save a slice; compressed syntaxes are packed by pydicom, BIG needs pixels in that order already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if syntax in (RLE, JPEG_LS):
        data.compress(syntax, generate_instance_uid=False)
    else:
        data.file_meta.TransferSyntaxUID = syntax
    data.save_as(path, enforce_file_format=True)
    return path


def make_series(
    folder: Path,
    voxels: np.ndarray[Any, Any] = STORED,
    sop: str = CT,
    change: Change | None = None,
    syntax: str = EXPLICIT,
    order: Sequence[int] | None = None,
    series: str = "a",
) -> Path:
    """Write a series; file names count in `order`, so that names and positions need not agree."""
    for name, number in enumerate(order if order is not None else range(voxels.shape[2])):
        data = one_slice(number, voxels[:, :, number], sop, series)
        if change:
            change(data, number)
        save(data, folder / f"{series}{name:03d}.dcm", syntax)
    return folder


def having(**values: Any) -> Change:
    def change(data: Any, number: int) -> None:
        for name, value in values.items():
            if value is None:
                delattr(data, name)
            else:
                setattr(data, name, value)

    return change


def only(number: int, **values: Any) -> Change:
    """Change one slice."""

    def change(data: Any, at: int) -> None:
        if at == number:
            having(**values)(data, at)

    return change


def enhanced(path: Path, voxels: np.ndarray[Any, Any] = STORED, order: Sequence[int] | None = None) -> Path:
    """Write an Enhanced CT of one file, its frames in `order`, each with a slope of its own."""
    frames = list(order if order is not None else range(voxels.shape[2]))
    data = one_slice(0, voxels[:, :, 0], "1.2.840.10008.5.1.4.1.1.2.1")
    for name in ("PixelSpacing", "SliceThickness", "ImageOrientationPatient", "ImagePositionPatient"):
        delattr(data, name)
    data.NumberOfFrames = len(frames)
    data.PixelData = b"".join(voxels[:, :, number].T.tobytes() for number in frames)
    shared, orientation, measures = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    orientation.ImageOrientationPatient = ROW_COLUMN
    measures.PixelSpacing, measures.SliceThickness = list(SPACING), STEP_MM
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    data.SharedFunctionalGroupsSequence = [shared]
    data.PerFrameFunctionalGroupsSequence = []
    for number in frames:
        group, place, scaling = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
        place.ImagePositionPatient = position(number)
        scaling.RescaleSlope, scaling.RescaleIntercept, scaling.RescaleType = str(1.5 + number), "-3", "US"
        group.PlanePositionSequence, group.PixelValueTransformationSequence = [place], [scaling]
        data.PerFrameFunctionalGroupsSequence.append(group)
    return save(data, path)
