"""NIfTI files whose voxels are odd or wrong: not finite, several volumes, masks that are none."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from tests.intake.kinds import FLOATS, FOUR, IMAGE, LABELS, Array, Kind, Made, bad, good
from tests.intake.nifti_bytes import nifti


def with_voxels(voxels: Array, *values: float) -> Array:
    """Put values in the first voxels."""
    changed = voxels.copy()
    changed.reshape(-1)[: len(values)] = values
    return changed


def holed(folder: Path, *values: float) -> Made:
    """Make an image with voxels that are no numbers; filled, they hold the lowest of the others."""
    spoilt = with_voxels(FLOATS, *values)
    filled = np.where(np.isfinite(spoilt), spoilt, spoilt[np.isfinite(spoilt)].min())
    return nifti(folder, voxels=spoilt, expect=filled)


def mask(**more: object) -> partial[Made]:
    """Make a mask."""
    return partial(nifti, **{"voxels": LABELS, **more})


def blurred(folder: Path) -> Made:
    """Make a mask as interpolation leaves it."""
    values = with_voxels(LABELS.astype(np.float32), 0.7, 1.4, 2.6)
    return nifti(folder, voxels=values, expect=np.rint(values).astype(np.uint8))


WHOLE_NUMBERS = "a mask holds whole numbers from 0 to 255"

VOXELS: list[Kind] = [
    bad(
        "a voxel of NaN",
        "all voxels are finite 32-bit numbers",
        partial(lambda folder: holed(folder, np.nan)),
        mends="fill_nonfinite",
    ),
    bad(
        "voxels of infinity",
        "all voxels are finite 32-bit numbers",
        partial(lambda folder: holed(folder, np.inf, -np.inf)),
        mends="fill_nonfinite",
    ),
    bad(
        "no voxel but NaN",
        "all voxels are finite 32-bit numbers",
        partial(nifti, voxels=np.full((5, 4, 3), np.nan, np.float32)),
        stays=True,
    ),
    good("the same value everywhere", partial(nifti, voxels=np.full((5, 4, 3), 7, np.int16))),
    good("zeros everywhere", partial(nifti, voxels=np.zeros((5, 4, 3), np.int16))),
    good("the second of three volumes", partial(nifti, voxels=FOUR, expect=FOUR[..., 1]), component=1),
    bad("a fourth of three volumes", "has a volume number 3", partial(nifti, voxels=FOUR), component=3),
    good("a mask of 8 bits", mask(), what="mask"),
    good("a mask of floats", mask(voxels=LABELS.astype(np.float32), expect=LABELS), what="mask"),
    good("a mask of 64-bit whole numbers", mask(voxels=LABELS.astype(np.int64), expect=LABELS), what="mask"),
    good(
        "a mask with a rounded slope",
        mask(
            voxels=(LABELS > 0).astype(np.uint8) * np.uint8(255),
            expect=(LABELS > 0).astype(np.uint8),
            scl_slope=1 / 255,
            scl_inter=0.0,
        ),
        what="mask",
        oracle="none",
    ),
    good("a mask without any label", mask(voxels=np.zeros_like(LABELS)), what="mask"),
    bad("a mask of interpolated floats", WHOLE_NUMBERS, blurred, what="mask", mends="round_mask"),
    bad("a mask with a label below 0", WHOLE_NUMBERS, mask(voxels=with_voxels(IMAGE * 0, -1)), what="mask", stays=True),
    bad("a mask with a label of 256", WHOLE_NUMBERS, mask(voxels=with_voxels(IMAGE * 0, 256)), what="mask", stays=True),
    bad(
        "a mask with a voxel of NaN",
        "a mask holds whole numbers from 0 to 255",
        mask(voxels=with_voxels(LABELS.astype(np.float32), np.nan)),
        what="mask",
        stays=True,
    ),
    bad(
        "a mask of several volumes",
        "a mask is one volume",
        mask(voxels=np.stack([LABELS, LABELS[::-1]], -1), expect=LABELS),
        what="mask",
        mends="first_volume",
    ),
    bad("a mask of complex numbers", "real numbers", mask(voxels=LABELS.astype(np.complex64)), what="mask"),
]
