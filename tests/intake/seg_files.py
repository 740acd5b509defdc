"""DICOM segmentations by highdicom, sound and wrong."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import highdicom
import numpy as np
import pydicom
from pydicom.sr.codedict import codes

from tests.intake.dicom_bytes import STORED, affine, having, series
from tests.intake.kinds import Array, Kind, Made, bad, good
from tests.intake.nifti_bytes import Spoil, cut

SEGMENTS: Array = (np.random.default_rng(41).integers(0, 3, STORED.shape)).astype(np.uint8)
PERSON = {
    "PatientBirthDate": "", "PatientSex": "", "StudyDate": "20200102", "StudyTime": "101112", "StudyID": "1",
    "AccessionNumber": "", "ReferringPhysicianName": "",
}  # fmt: skip


def segmentation(
    folder: Path,
    kind: str = "BINARY",
    planes: Array | None = None,
    expect: Array = SEGMENTS,
    spoil: Spoil | None = None,
) -> Made:
    """Write a segmentation of two segments; `planes` (Z, Y, X) or (Z, Y, X, segments) are those of SEGMENTS if None."""
    slices = series(folder, change=having(**PERSON))
    described = [
        highdicom.seg.SegmentDescription(number, f"part {number}", codes.SCT.Tissue, codes.SCT.Tissue, "MANUAL")
        for number in (1, 2)
    ]
    made = highdicom.seg.Segmentation(
        [pydicom.dcmread(path) for path in sorted(slices.path.iterdir())],
        SEGMENTS.T if planes is None else planes,
        kind,
        described,
        series_instance_uid="1.2.3.1",
        series_number=2,
        sop_instance_uid="1.2.3.2",
        instance_number=1,
        manufacturer="nobody",
        manufacturer_model_name="nothing",
        software_versions="0",
        device_serial_number="0",
    )
    path = folder / "segmentation.dcm"
    made.save_as(path)
    path.write_bytes((spoil or bytes)(path.read_bytes()))
    return Made(path, expect, affine())


def overlapping(folder: Path) -> Made:
    """Let both segments claim the same voxels."""
    both = np.stack([SEGMENTS.T == 1, SEGMENTS.T >= 1], axis=-1).astype(np.uint8)
    return segmentation(folder, planes=both)


def fractions(folder: Path) -> Made:
    """Write shares instead of yes and no; cut at one half they are the segments again."""
    shares = np.stack([(SEGMENTS.T == 1) * 0.8 + 0.1, (SEGMENTS.T == 2) * 0.8 + 0.1], axis=-1)
    return segmentation(folder, "FRACTIONAL", shares)


def as_an_image(folder: Path) -> Made:
    """Hand out the folder of a segmentation, to be read as an image."""
    made = segmentation(folder)
    return Made(made.path)


SEG: list[Kind] = [
    good("DICOM-SEG", segmentation, what="mask", oracle="none"),
    good("DICOM-SEG of labels", partial(segmentation, kind="LABELMAP"), what="mask", oracle="none"),
    bad("DICOM-SEG of fractions", "a mask holds whole labels", fractions, what="mask", mends="round_mask"),
    bad("DICOM-SEG whose segments overlap", "segments do not overlap", overlapping, what="mask"),
    bad("DICOM-SEG cut short", "is as long as its elements claim", partial(segmentation, spoil=cut(0.9)), what="mask"),
    bad("DICOM-SEG in place of an image", "is an image", as_an_image),
]
