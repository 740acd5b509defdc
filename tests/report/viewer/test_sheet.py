from __future__ import annotations

from io import BytesIO

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from medseg.report.viewer.sheet import CELL, columns_of, lay_out, pack_sheet
from medseg.values.volume import Array


def read(sheet: Array, shape: tuple[int, int, int]) -> Array:
    """Read a sheet as the page does: from the words of the module's docstring, voxel by voxel."""
    columns = columns_of(*shape)
    wide, high = (CELL * (-(-n // CELL)) for n in shape[:2])
    volume = np.zeros(shape, np.uint8)
    for x, y, z in np.ndindex(shape):
        volume[x, y, z] = sheet[(z // columns) * high + y, (z % columns) * wide + x]
    return volume


def unpacked(content: bytes) -> Array:
    with Image.open(BytesIO(content)) as picture:
        return np.asarray(picture.convert("RGB"))[..., 0]


def smooth(shape: tuple[int, int, int]) -> Array:
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=shape), 3)
    return np.asarray(np.clip(128 + 60 * noise / noise.std(), 0, 255), np.uint8)


@settings(deadline=None, max_examples=40)
@given(st.tuples(*[st.integers(1, 20)] * 3))
def test_every_voxel_is_where_the_page_looks_for_it(shape: tuple[int, int, int]) -> None:
    grey = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    np.testing.assert_array_equal(read(lay_out(grey), shape), grey)


def test_a_packed_scan_keeps_its_grey_values() -> None:
    """Of smooth tissue with edges, half of the voxels are off by at most 1 % of the range, and the mean by none."""
    grey = smooth((60, 50, 20))
    grey[:10] = 0
    seen = read(unpacked(pack_sheet(grey, 10**6)), (60, 50, 20))
    error = np.abs(seen.astype(int) - grey.astype(int))
    assert np.median(error) <= 2.55
    assert np.percentile(error, 99) <= 13
    assert abs(seen.mean() - grey.mean()) < 0.5


def test_less_room_means_less_care() -> None:
    grey = smooth((48, 48, 16))
    whole = pack_sheet(grey, 10**6)
    small = pack_sheet(grey, len(whole) - 1)
    assert len(small) < len(whole)
    assert len(pack_sheet(grey, 0)) <= len(small)


def test_the_same_voxels_give_the_same_bytes() -> None:
    grey = smooth((20, 30, 5))
    assert pack_sheet(grey, 5000) == pack_sheet(grey.copy(order="F"), 5000)
