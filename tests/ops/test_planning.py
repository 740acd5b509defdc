from __future__ import annotations

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.ops.planning import (
    Wishes,
    common_spacing,
    features,
    memory_gb,
    plan_kernels,
    plan_patch,
    plan_strides,
    slice_axis,
)
from medseg.values.error import Refusal


def wishes(**changes: object) -> Wishes:
    values = {
        "dimensions": 3,
        "width": 32,
        "widest": 320,
        "levels": None,
        "patch": None,
        "batch": None,
        "plane": None,
        "memory_gb": 4.0,
    }
    return Wishes(**{**values, **changes})  # type: ignore[arg-type]


sizes = st.tuples(*[st.integers(4, 300)] * 3)
spacings = st.tuples(*[st.floats(0.4, 6.0)] * 3)


@given(sizes, spacings, st.sampled_from([0.5, 4.0, 16.0]))
def test_every_level_divides_the_patch_and_the_step_fits(shape, spacing, budget) -> None:
    asked = wishes(memory_gb=budget)
    patch, strides, batch = plan_patch(shape, spacing, asked)
    for axis in range(3):
        total = prod(stride[axis] for stride in strides)
        assert patch[axis] % total == 0
        assert total == 1 or patch[axis] // total >= 4
    fits = memory_gb(patch, strides, asked, batch) <= budget
    assert fits or max(patch) <= 128


@given(sizes, spacings, st.sampled_from([0, 1, 2]))
def test_slices_stay_one_voxel_thick(shape, spacing, plane) -> None:
    patch, strides, _ = plan_patch(shape, spacing, wishes(dimensions=2, plane=plane))
    assert patch[plane] == 1
    assert all(stride[plane] == 1 for stride in strides)
    assert all(kernel[plane] == 1 for kernel in plan_kernels(strides, spacing, plane))


def test_known_plans() -> None:
    assert plan_patch((35, 50, 35), (1, 1, 1), wishes())[0] == (40, 56, 40)
    _, strides, batch = plan_patch((20, 320, 320), (3.6, 0.6, 0.6), wishes(memory_gb=16.0))
    assert strides[1] == (1, 2, 2)
    assert batch == 2
    assert plan_kernels(strides, (3.6, 0.6, 0.6), None)[0] == (1, 3, 3)


def test_more_memory_never_means_a_smaller_patch() -> None:
    volumes = [prod(plan_patch((240, 240, 155), (1, 1, 1), wishes(memory_gb=gb))[0]) for gb in (1.0, 4.0, 16.0, 64.0)]
    assert volumes == sorted(volumes)
    assert volumes[0] < volumes[-1]


def test_a_patch_that_was_given_is_kept() -> None:
    assert plan_patch((100, 100, 100), (1, 1, 1), wishes(patch=(48, 64, 32)))[0] == (48, 64, 32)
    with pytest.raises(Refusal, match=r"patches.size: a 3D network takes 3 numbers, got \[48, 64\]"):
        plan_patch((100, 100, 100), (1, 1, 1), wishes(patch=(48, 64)))


def test_too_many_levels_are_refused() -> None:
    with pytest.raises(
        Refusal, match=r"network.levels: the patch \(16, 16, 16\) allows 3 levels, got 6; lower .*128 or more"
    ):
        plan_strides((16, 16, 16), (1, 1, 1), wishes(levels=6))


def test_common_spacing_is_the_median_but_sharper_along_a_coarse_axis() -> None:
    assert common_spacing([(1, 1, 1), (2, 1, 1), (3, 1, 1)]) == (2, 1, 1)
    assert common_spacing([(1, 1, 4), (1, 1, 6), (1, 1, 8)])[2] == pytest.approx(4.4)


def test_slices_are_cut_across_the_coarsest_axis() -> None:
    assert slice_axis((1, 1, 5), (10, 10, 90)) == 2
    assert slice_axis((3, 1, 1), (90, 10, 10)) == 0
    assert slice_axis((1, 1, 1), (30, 20, 20)) == 2


def test_widths_double_up_to_the_widest() -> None:
    assert features(6, wishes()) == (32, 64, 128, 256, 320, 320)


@pytest.mark.parametrize(("shape", "plane", "patch"), [((7, 7, 6), None, (8, 7, 6)), ((3, 5, 40), 2, (3, 8, 1))])
def test_the_smallest_scans_get_a_coarser_level_too(shape, plane, patch) -> None:
    asked = wishes(plane=plane, dimensions=3 if plane is None else 2)
    found, strides, _ = plan_patch(shape, (1, 1, 1), asked)
    assert (found, len(strides)) == (patch, 2)


def test_a_patch_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(Refusal) as caught:
        plan_patch((40, 40, 40), (1, 1, 1), wishes(patch=(33, 33, 5)))
    assert caught.value.exit_code == 2
    assert str(caught.value) == (
        "patches.size: a patch is even and 8 voxels or longer along one axis, to be halved there, got [33, 33, 5]; "
        "set e.g. [32, 32, 8]"
    )
    with pytest.raises(Refusal, match=r"got \[33, 6\]; set e\.g\. \[32, 8\]"):
        plan_patch((40, 40, 40), (1, 1, 1), wishes(dimensions=2, plane=1, patch=(33, 6), levels=2))
