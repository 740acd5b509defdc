"""NIfTI files whose headers are odd or wrong: dimensions, data types, offsets, units, scale factors and affines."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from tests.intake.kinds import AFFINE, FLOATS, IMAGE, Array, Kind, Made, bad, good
from tests.intake.nifti_bytes import nifti, nifti_bytes, with_fields

NAN_ROW = [np.nan, 0, 0, 0]
QFORM = np.array([[0, -2.0, 0, 7], [1.5, 0, 0, -8], [0, 0, 3, 9], [0, 0, 0, 1]])  # a rotation times 1.5, 2 and 3 mm
NO_FORM = {"sform_code": 0, "qform_code": 0}


def header(**fields: Any) -> partial[Made]:
    """Make an unpacked file with other values in its header."""
    return partial(nifti, name="scan.nii", **fields)


def with_qform(folder: Path, qform: Array = QFORM, expect: Array = QFORM, sform: int = 2, **fields: Any) -> Made:
    """Make a file whose two affines are set apart."""
    image = nibabel.Nifti1Image(IMAGE, AFFINE)
    image.set_sform(AFFINE, sform)
    image.set_qform(qform, 1)
    path = folder / "scan.nii"
    path.write_bytes(with_fields(image.to_bytes(), **fields))
    return Made(path, IMAGE, expect)


def with_bare_spacing(folder: Path, **fields: Any) -> Made:
    """Make a file that says how large its voxels are but not how they lie."""
    made = nifti(folder, name="scan.nii", pixdim=[1, 2, 3, 4, 0, 0, 0, 0], **NO_FORM, **fields)
    return Made(made.path, IMAGE, np.diag([-2.0, -3.0, 4.0, 1.0]))


def with_extension(folder: Path) -> Made:
    """Make a file with a comment of 32 bytes between header and voxels."""
    image = nibabel.Nifti1Image(IMAGE, AFFINE)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"taken at noon"))
    path = folder / "scan.nii.gz"
    image.to_filename(path)
    return Made(path, IMAGE, AFFINE)


def of_type(dtype: str) -> partial[Made]:
    """Make a file of another data type."""
    return partial(nifti, voxels=np.abs(IMAGE).astype(dtype))


def colours(folder: Path, names: tuple[str, ...]) -> Made:
    """Make a file of RGB or RGBA voxels."""
    voxels = np.zeros((5, 4, 3), [(name, "u1") for name in names])
    path = folder / "scan.nii"
    nibabel.Nifti1Image(voxels, AFFINE).to_filename(path)
    return Made(path)


def scaled(slope: float, intercept: float) -> partial[Made]:
    """Make whole numbers with a slope and an intercept."""
    voxels = (IMAGE.astype(np.float64) * np.float32(slope) + np.float32(intercept)).astype(np.float32)
    return partial(nifti, voxels=IMAGE, expect=voxels, scl_slope=slope, scl_inter=intercept)


def overflowing(folder: Path) -> Made:
    """Make doubles that no 32-bit number can hold."""
    voxels = FLOATS.astype(np.float64)
    voxels[0, 0, 0] = 1e300
    return nifti(folder, voxels=voxels)


def rigid(shift: float) -> Callable[[Path], Made]:
    """Make two affines of which one is `shift` voxels further along the first axis."""
    moved = QFORM.copy()
    moved[:3, 3] += shift * QFORM[:3, 0]

    def make(folder: Path) -> Made:
        image = nibabel.Nifti1Image(IMAGE, QFORM)
        image.set_sform(QFORM, 1)
        image.set_qform(moved, 1)
        image.to_filename(folder / "scan.nii")
        return Made(folder / "scan.nii", IMAGE, QFORM)

    return make


def two_dimensions_claimed(folder: Path) -> Made:
    """NIfTI-2 sizes whose product does not fit in 64 bits."""
    content = nifti_bytes(IMAGE, two=True, dim=[3, 2**62, 2**62, 2**62, 1, 1, 1, 1])
    path = folder / "scan.nii"
    path.write_bytes(content)
    return Made(path)


EMPTY = "every dimension has at least one voxel"
SINGLE = "voxels are single real numbers of up to 64 bits"
SIZE = "is as long as its header claims"
OFFSET = "voxels begin at byte 352 or later (vox_offset)"

HEADERS: list[Kind] = [
    good("bytes in big-endian order", header(order=">")),
    good("NIfTI-2", partial(nifti, two=True)),
    good("NIfTI-2 in big-endian order", partial(nifti, two=True, order=">")),
    good("64-bit floats", of_type("f8")),
    good("8-bit whole numbers", of_type("u1")),
    good("32-bit whole numbers", of_type("u4")),
    good("a comment between header and voxels", with_extension),
    good("bitpix that does not fit the data type", header(bitpix=64), oracle="both"),
    good("a slope and an intercept", scaled(0.5, -1000)),
    good("a negative slope", scaled(-2, 3)),
    *[
        good(f"a slope of {slope}, which means none", header(scl_slope=slope, scl_inter=5))
        for slope in (0.0, float("nan"), float("inf"))
    ],
    good("axes of size 1 at the end", partial(nifti, voxels=IMAGE[..., None, None], expect=IMAGE)),
    good("one slice", partial(nifti, voxels=IMAGE[..., :1])),
    good("axes in another order", partial(nifti, affine=AFFINE[:, [2, 0, 1, 3]])),
    good("a sheared affine", partial(nifti, affine=AFFINE + np.eye(4, k=2) * [0, 0, 0.4, 0])),
    good("only a qform", partial(with_qform, sform=0)),
    good("edges of 0, NaN and below 0 beside a sound sform", header(pixdim=[1, 0, np.nan, -1, 0, 0, 0, 0])),
    good("an sform of NaN beside a sound qform", partial(with_qform, srow_x=NAN_ROW), oracle="voxels", noted="qform"),
    good(
        "a singular sform beside a sound qform",
        partial(with_qform, srow_x=[0, 0, 0, 5]),
        oracle="voxels",
        noted="qform",
    ),
    good("a broken qform beside a sound sform", partial(with_qform, expect=AFFINE, quatern_b=3.0), noted="sform"),
    good("an sform with a code that means nothing", header(sform_code=16), oracle="voxels", noted="code"),
    good("sform and qform a twentieth of a voxel apart", rigid(0.05), noted="qform"),
    bad("sform and qform that disagree: the sform", "qform", partial(with_qform, expect=AFFINE), mends="use_sform"),
    bad("sform and qform that disagree: the qform", "qform", with_qform, mends="use_qform"),
    bad("no orientation", "the header names an orientation (sform or qform)", with_bare_spacing, orientation="LPS"),
    bad(
        "no orientation and no spacing",
        "voxel edges are finite and above 0 mm (pixdim)",
        header(pixdim=[1, 0, 3, 4, 0, 0, 0, 0], **NO_FORM),
        stays=True,
    ),
    bad("an sform of NaN and no qform", "the affine is finite", header(srow_x=NAN_ROW)),
    bad("a singular sform and no qform", "the affine can be inverted", header(srow_x=[0, 0, 0, 5])),
    bad(
        "two axes along one line", "the affine can be inverted", header(srow_x=[0, 2, 0.25, 5], srow_y=[0, 2, 0.25, 5])
    ),
    bad(
        "a quaternion that is no rotation",
        "the quaternion of the qform is a rotation",
        partial(with_qform, sform=0, quatern_b=3.0),
    ),
    bad(
        "a qform with an edge of 0",
        "voxel edges are finite and above 0 mm (pixdim)",
        partial(with_qform, sform=0, pixdim=[1, 0, 1, 1, 0, 0, 0, 0]),
    ),
    bad(
        "a qform with an edge of NaN",
        "voxel edges are finite and above 0 mm (pixdim)",
        partial(with_qform, sform=0, pixdim=[1, np.nan, 1, 1, 0, 0, 0, 0]),
    ),
    bad("lengths in metres", "lengths are in millimetres (xyzt_units 2)", header(xyzt_units=1), mends="lengths_are_mm"),
    bad(
        "lengths in microns", "lengths are in millimetres (xyzt_units 2)", header(xyzt_units=3), mends="lengths_are_mm"
    ),
    bad("an intercept of NaN", "(scl_inter) is finite", header(scl_slope=2, scl_inter=np.nan)),
    bad("numbers beyond 32 bits", "all voxels are finite 32-bit numbers", overflowing, mends=None),
    bad("a size of 0", EMPTY, header(dim=[3, 0, 8, 7, 1, 1, 1, 1])),
    bad("a size below 0", EMPTY, header(dim=[3, 9, -8, 7, 1, 1, 1, 1])),
    bad("0 dimensions", EMPTY, header(dim=[0, 9, 8, 7, 1, 1, 1, 1])),
    bad("9 dimensions", EMPTY, header(dim=[9, 9, 8, 7, 1, 1, 1, 1])),
    bad("2 dimensions", "three dimensions", header(dim=[2, 72, 7, 1, 1, 1, 1, 1])),
    bad(
        "5 dimensions",
        "three dimensions",
        partial(nifti, voxels=np.ones((3, 4, 5, 2, 3), np.float32)),
    ),
    bad("32767 voxels along each axis", SIZE, header(dim=[3, 32767, 32767, 32767, 1, 1, 1, 1]), bomb=True),
    bad("more voxels than 64 bits can count", SIZE, two_dimensions_claimed, bomb=True),
    bad("an unknown data type", "has a known data type", header(datatype=9999)),
    bad("data type 0", SINGLE, header(datatype=0)),
    bad("single bits", SINGLE, header(datatype=1)),
    bad("complex numbers", SINGLE, partial(nifti, voxels=IMAGE.astype(np.complex64))),
    bad("128-bit floats", SINGLE, header(datatype=1536)),
    bad("RGB", SINGLE, partial(colours, names=("R", "G", "B"))),
    bad("RGBA", SINGLE, partial(colours, names=("R", "G", "B", "A"))),
    bad("voxels from byte 0 on", OFFSET, header(vox_offset=0)),
    bad("voxels from byte NaN on", OFFSET, header(vox_offset=np.nan)),
    bad("voxels from byte 352.5 on", OFFSET, header(vox_offset=352.5)),
    bad("voxels from behind the end on", SIZE, header(vox_offset=1e6)),
    bad("magic of a header without its image", "the magic is n+1", header(magic=b"ni1")),
    bad("no magic: ANALYZE 7.5", "is a NIfTI-1 or NIfTI-2 file", header(magic=b"")),
    bad("another size of the header", "is a NIfTI-1 or NIfTI-2 file", header(sizeof_hdr=1543)),
]
