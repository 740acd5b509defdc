"""DICOM series, sound, odd and wrong."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    RLELossless,
)

from tests.intake.dicom_bytes import EDGES_MM, NORMAL, ROW, START, STORED, UID, having, moved, one_slice, save, series
from tests.intake.kinds import GIGABYTE, Kind, Made, bad, good
from tests.intake.nifti_bytes import Spoil, cut, sparse, zeros_packed


def changed(**values: Any) -> partial[Made]:
    """Make a series of which every slice has other values."""
    return partial(series, change=having(**values))


def spoilt(number: int, spoil: Spoil) -> partial[Made]:
    """Spoil the bytes of one file of a series."""

    def make(folder: Path) -> Made:
        made = series(folder)
        path = made.path / f"slice_{number:03d}.dcm"
        path.write_bytes(spoil(path.read_bytes()))
        return made

    return partial(make)


def with_file(name: str, content: bytes) -> partial[Made]:
    """Put another file into the folder of a series."""

    def make(folder: Path) -> Made:
        made = series(folder)
        (made.path / name).write_bytes(content)
        return made

    return partial(make)


def with_directory(folder: Path) -> Made:
    """Put the directory that burnt discs have beside the slices."""
    made = series(folder)
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = MediaStorageDirectoryStorage, f"{UID}.8"
    data.FileSetID, data.DirectoryRecordSequence = "DISC", []
    save(data, made.path / "DICOMDIR")
    return made


def rescaled_by_slice(folder: Path) -> Made:
    """Make a PET whose slope differs from slice to slice, as scanners write it."""
    slopes = [0.5 + 0.25 * number for number in range(STORED.shape[2])]
    voxels = np.abs(STORED)

    def change(data: Dataset, number: int) -> None:
        data.RescaleSlope, data.RescaleIntercept, data.Units = str(slopes[number]), "0", "BQML"

    return series(folder, change, "PT", voxels, expect=(voxels * np.asarray(slopes)).astype(np.float32))


def unrescaled(folder: Path) -> Made:
    """Make an MR, whose slices have no slope."""
    voxels = np.abs(STORED).astype(np.uint16)
    return series(folder, having(RescaleSlope=None, RescaleIntercept=None), "MR", voxels, expect=voxels)


def twelve_bits(folder: Path) -> Made:
    """Make slices of 12 bits in 16."""
    voxels = np.abs(STORED).astype(np.uint16)
    return series(folder, having(BitsStored=12, HighBit=11), voxels=voxels)


def big_endian(folder: Path) -> Made:
    """Write the retired big-endian syntax."""

    def change(data: Dataset, number: int) -> None:
        data.PixelData = STORED[:, :, number].T.astype(">i2").tobytes()
        data["PixelData"].VR = "OW"

    return series(folder, change, syntax=ExplicitVRBigEndian)


def run_length(folder: Path) -> Made:
    """Compress every slice by run lengths, without loss (common readers fail on fewer than 72 voxels)."""
    voxels = np.tile(STORED, (2, 2, 1))
    made = series(folder, voxels=voxels)
    for number in range(voxels.shape[2]):
        data = one_slice(number, voxels=voxels)
        save(data, made.path / f"slice_{number:03d}.dcm")
        data.compress(RLELossless, generate_instance_uid=False)
        data.save_as(made.path / f"slice_{number:03d}.dcm", enforce_file_format=True)
    return made


def two_series(folder: Path) -> Made:
    """Put a second series into the same folder."""
    made = series(folder)
    for number in range(STORED.shape[2]):
        data = one_slice(number)
        data.SeriesInstanceUID, data.SOPInstanceUID = f"{UID}.9", f"{UID}.9.{number + 1}"
        save(data, made.path / f"other_{number:03d}.dcm")
    return made


def copied(folder: Path) -> Made:
    """Put a copy of a slice into the folder."""
    made = series(folder)
    (made.path / "copy.dcm").write_bytes((made.path / "slice_002.dcm").read_bytes())
    return made


def sheared(data: Dataset, number: int) -> None:
    """Move each slice sideways, as a tilted gantry does."""
    at = START + number * (EDGES_MM[2] * NORMAL + 0.6 * ROW)
    data.ImagePositionPatient = [repr(float(v))[:16] for v in at]


def colours(data: Dataset, number: int) -> None:
    """Make colour slices."""
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", 0
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    data.PixelData = bytes(3 * 56)


def smaller(data: Dataset, number: int) -> None:
    """Make one slice smaller than the others."""
    if number == 3:
        data.Rows, data.PixelData = 6, STORED[:, :6, 3].T.tobytes()


def one_file(folder: Path, **values: Any) -> Made:
    """Write one slice and hand out the file."""
    data = one_slice(0)
    having(**values)(data, 0)
    save(data, folder / "one.dcm")
    return Made(folder / "one.dcm")


def empty(folder: Path) -> Made:
    """Make a folder with nothing in it."""
    (folder / "series").mkdir()
    return Made(folder / "series")


def letters(folder: Path) -> Made:
    """Make a folder with something else in it."""
    made = empty(folder)
    (made.path / "letter.txt").write_text("Dear colleague")
    return made


def holey(folder: Path) -> Made:
    """Let every slice claim and be 2 GB, nearly all of it hole."""
    made = series(folder, having(Rows=32768, Columns=32768))
    for path in made.path.iterdir():
        sparse(path, path.read_bytes(), 2 << 30)
    return Made(made.path)


def deflated_bomb(folder: Path) -> Made:
    """Deflate slices of 512 MB of zeros each."""
    made = series(folder, change=having(Rows=16384, Columns=16384), syntax=DeflatedExplicitVRLittleEndian)
    for number, path in enumerate(sorted(made.path.iterdir())):
        data = one_slice(number)
        data.Rows = data.Columns = 16384
        del data.PixelData
        plain = DicomBytesIO()
        plain.is_little_endian, plain.is_implicit_VR = True, False
        write_dataset(plain, data)
        element = b"\xe0\x7f\x10\x00OW\x00\x00" + (GIGABYTE // 2).to_bytes(4, "little")
        content = path.read_bytes()
        meta = 132 + 12 + int.from_bytes(content[140:144], "little")  # the group length counts what follows it
        path.write_bytes(content[:meta] + zeros_packed(plain.getvalue() + element, GIGABYTE // 2, wrapper="none"))
    return Made(made.path)


DICOM: list[Kind] = [
    good("DICOM: CT", series),
    good("DICOM: PET with a slope for each slice", rescaled_by_slice),
    good("DICOM: MR without slopes", unrescaled),
    good("DICOM: 12 bits", twelve_bits),
    good("DICOM: implicit types", partial(series, syntax=ImplicitVRLittleEndian)),
    good("DICOM: big-endian order", big_endian),
    good("DICOM: run lengths", run_length),
    bad("DICOM: deflated", "not deflated", partial(series, syntax=DeflatedExplicitVRLittleEndian)),
    good("DICOM: names without ending", partial(series, name="IM{:04d}".format)),
    good(
        "DICOM: names and numbers in another order",
        partial(
            series,
            change=lambda data, number: setattr(data, "InstanceNumber", 99 - number),
            name=lambda n: f"{(n * 5) % 7}.dcm",
        ),
    ),
    good("DICOM: a letter beside the slices", with_file("README.txt", b"Dear colleague"), noted="DICOM"),
    good("DICOM: a directory file beside the slices", with_directory),
    good("DICOM: shown white for 0", changed(PhotometricInterpretation="MONOCHROME1"), noted="MONOCHROME1"),
    bad("DICOM: a slice is missing", "no slice is missing", partial(series, leave_out=(3,))),
    bad("DICOM: a slice is there twice", "every slice has a place of its own", copied),
    bad(
        "DICOM: two slices at one place", "every slice has a place of its own", partial(series, change=moved({3: -1.0}))
    ),
    bad("DICOM: uneven steps", "slices are evenly spaced", partial(series, change=moved({3: 0.3}))),
    bad("DICOM: two series in one folder", "a folder holds one series", two_series),
    bad("DICOM: a tilted gantry", "slices lie straight above each other", partial(series, change=sheared)),
    bad(
        "DICOM: a slice turned",
        "all slices have the same orientation",
        partial(series, change=having(only=2, ImageOrientationPatient=[0, 1, 0, 0, 0, 1])),
    ),
    bad("DICOM: a slice of another size", "all slices have the same size", partial(series, change=smaller)),
    bad(
        "DICOM: a slice of another spacing",
        "all slices have the same pixel spacing",
        partial(series, change=having(only=2, PixelSpacing=[1, 1])),
    ),
    bad("DICOM: a slice cut", "is as long as its elements claim", spoilt(2, cut(0.9))),
    bad("DICOM: a slice cut inside its header", "is as long as its elements claim", spoilt(2, cut(0.3))),
    bad("DICOM: a slice of nothing", "is a DICOM file", spoilt(2, lambda data: b"")),
    bad(
        "DICOM: a slice with fewer voxels than it claims",
        "is as long as its header claims",
        partial(series, change=having(only=2, PixelData=bytes(100))),
    ),
    bad("DICOM: one slice", "a volume has at least two slices", partial(series, leave_out=(1, 2, 3, 4, 5))),
    bad("DICOM: a file of one slice", "a volume has at least two slices", one_file),
    bad("DICOM: colours", "voxels are single real numbers", partial(series, change=colours)),
    bad("DICOM: palette colours", "voxels are single real numbers", changed(PhotometricInterpretation="PALETTE COLOR")),
    bad(
        "DICOM: compressed with loss, and not really",
        "is as long as its header claims",
        changed(PixelData=b"\xfe\xff\x00\xe0" + bytes(4)),
    ),
    bad("DICOM: no position", "every slice names its position", changed(ImagePositionPatient=None)),
    bad("DICOM: no orientation", "every slice names its orientation", changed(ImageOrientationPatient=None)),
    bad("DICOM: no spacing", "every slice names its pixel spacing", changed(PixelSpacing=None)),
    bad("DICOM: a spacing of 0", "voxel edges are finite and above 0 mm", changed(PixelSpacing=[0, 0])),
    bad(
        "DICOM: rows and columns along one line",
        "row and column directions are orthogonal",
        changed(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]),
    ),
    bad("DICOM: no voxels", "the folder holds DICOM images", changed(PixelData=None)),
    bad("DICOM: no size", "has rows and columns", changed(Rows=None)),
    bad("DICOM: a size of 0", "has rows and columns", changed(Rows=0)),
    bad(
        "DICOM: 65535 rows and columns claimed",
        "is as long as its header claims",
        changed(Rows=65535, Columns=65535),
        bomb=True,
    ),
    bad("DICOM: slices of 2 GB of hole", "is as long as its header claims", holey, bomb=True),
    bad("DICOM: deflated zeros", "not deflated", deflated_bomb, bomb=True),
    bad("DICOM: a slope of 0", "the slope not 0", changed(RescaleSlope="0")),
    bad("DICOM: an empty folder", "is a NIfTI, NRRD, MetaImage or DICOM scan", empty),
    bad("DICOM: a folder of letters", "is a NIfTI, NRRD, MetaImage or DICOM scan", letters),
]
