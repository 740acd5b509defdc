"""Sizes of connected parts: the same as scipy's, for masks of a few runs and for noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from medseg.ops import parts
from medseg.ops.parts import part_sizes
from medseg.values.volume import Array, BoolArray


def expected(mask: BoolArray) -> list[int]:
    """Count scipy's parts."""
    found, count = ndimage.label(mask, np.ones((3, 3, 3)))
    return sorted(np.bincount(found.ravel(), minlength=count + 1)[1:].tolist(), reverse=True)


@given(
    st.tuples(*[st.integers(1, 12)] * 3), st.sampled_from([0.01, 0.05, 0.1, 0.3, 0.5, 0.95]), st.integers(0, 1 << 20)
)
def test_sizes_are_those_of_scipy(shape: tuple[int, int, int], share: float, seed: int) -> None:
    mask: Array = np.random.default_rng(seed).random(shape) < share
    assert part_sizes(mask).tolist() == expected(mask)
    assert part_sizes(np.asfortranarray(mask)[::-1]).tolist() == expected(mask)


def test_a_long_winding_part_is_one() -> None:
    mask = np.zeros((41, 41, 41), np.bool_)
    mask[::2, ::2] = True
    mask[1::4, 40, 40] = mask[3::4, 0, 0] = True
    mask[::2, 1::4, 40] = mask[::2, 3::4, 0] = True
    assert part_sizes(mask).tolist() == expected(mask)
    assert len(part_sizes(mask)) == 1


def test_noise_goes_through_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    mask: Array = np.random.default_rng(0).random((40, 40, 40)) < 0.04
    few = part_sizes(mask).tolist()
    monkeypatch.setattr(parts, "_ALWAYS_FEW", 0)
    assert part_sizes(mask).tolist() == few == expected(mask)
    assert part_sizes(mask & False).tolist() == []
