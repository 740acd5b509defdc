"""Drawing: plain numbers that depend on (seed, step, index) only."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from medseg.engines.sampling.drawing.draw import CaseShape, Draw, draw_batch, foreground_count
from medseg.engines.sampling.settings import (
    AugmentSettings,
    FlipSettings,
    PatchSettings,
    RotationSettings,
    ScalingSettings,
)
from medseg.values.error import Refusal
from medseg.values.volume import FloatArray

ALL_AXES = FlipSettings(probability=0.5, axes=("x", "y", "z"))
WILD = AugmentSettings(
    flip=ALL_AXES,
    rotation=RotationSettings(probability=0.7, degrees=(90.0, 90.0, 90.0)),
    scaling=ScalingSettings(probability=0.7, low=0.6, high=1.6),
)


def some_cases(seed: int = 0, spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> list[CaseShape]:
    """Return cases of unlike shapes; the last one is healthy."""
    generator = np.random.default_rng(seed)
    cases = []
    for kinds in ((1,), (1, 2), (2, 3), ()):
        shape = tuple(int(n) for n in generator.integers(6, 30, 3))
        seeds = {kind: generator.integers(0, shape, (20, 3)).astype(np.int32) for kind in kinds}
        cases.append(CaseShape((shape[0], shape[1], shape[2]), spacing_mm, 2, seeds))
    return cases


def draw(step: int, patch: tuple[int, ...] = (8, 10, 12), batch: int = 6, share: float = 0.5) -> tuple[Draw, ...]:
    return draw_batch(3, step, some_cases(), patch, batch, PatchSettings(tumour_share=share), WILD)


def shown_at(drawn: Draw, voxel: tuple[int, int, int], patch: tuple[int, ...]) -> FloatArray:
    """Return where in the patch a voxel of the case is shown."""
    back = np.linalg.inv(np.asarray(drawn.matrix))
    return np.asarray(back @ (np.asarray(voxel) - np.asarray(drawn.centre)) + (np.asarray(patch) - 1) / 2)


def test_a_draw_depends_on_seed_step_and_index_only() -> None:
    forwards = [draw(step) for step in range(1, 6)]
    backwards = [draw(step) for step in reversed(range(1, 6))]
    assert forwards == backwards[::-1]
    assert len({drawn.number for batch in forwards for drawn in batch}) == 30
    other = draw_batch(4, 1, some_cases(), (8, 10, 12), 6, PatchSettings(tumour_share=0.5), WILD)
    assert other != forwards[0]


def test_an_index_is_drawn_alike_in_small_and_large_batches() -> None:
    small = draw_batch(3, 7, some_cases(), (8, 8, 8), 2, PatchSettings(tumour_share=0.0), WILD)
    large = draw_batch(3, 7, some_cases(), (8, 8, 8), 9, PatchSettings(tumour_share=0.0), WILD)
    assert large[:2] == small


@pytest.mark.parametrize(
    ("share", "batch", "count"),
    [(1 / 3, 2, 1), (1 / 3, 3, 1), (1 / 3, 12, 4), (0.01, 8, 1), (0.0, 8, 0), (1.0, 5, 5)],
)
def test_the_first_patches_lie_on_labelled_voxels(share: float, batch: int, count: int) -> None:
    assert foreground_count(share, batch) == count
    drawn = draw(2, batch=batch, share=share)
    assert [patch.seed_voxel is not None for patch in drawn] == [True] * count + [False] * (batch - count)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.tuples(*[st.integers(1, 20)] * 3), st.booleans())
def test_a_labelled_patch_shows_its_voxel(step: int, patch: tuple[int, int, int], coarse: bool) -> None:
    cases = some_cases(step % 7, (1.0, 1.0, 2.5) if coarse else (1.0, 1.0, 1.0))
    for drawn in draw_batch(0, step, cases, patch, 4, PatchSettings(tumour_share=1.0), WILD):
        voxels = np.concatenate(list(cases[drawn.case].seeds.values()))
        assert drawn.seed_voxel is not None
        assert (voxels == drawn.seed_voxel).all(1).any()
        place = shown_at(drawn, drawn.seed_voxel, patch)
        assert (place > -0.01).all()
        assert (place < np.asarray(patch) - 0.99).all()


def test_the_labelled_voxel_is_not_always_in_the_middle() -> None:
    cases = [CaseShape((40, 40, 40), (1.0, 1.0, 1.0), 1, {1: np.full((1, 3), 20, np.int32)})]
    drawn = [draw_batch(0, s, cases, (8, 8, 8), 1, PatchSettings(), AugmentSettings())[0] for s in range(200)]
    places = np.array([shown_at(d, (20, 20, 20), (8, 8, 8)) for d in drawn])
    assert (places.std(0) > 0.8).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.tuples(*[st.integers(1, 40)] * 3))
def test_an_unturned_patch_lies_in_the_image_or_holds_it(step: int, patch: tuple[int, int, int]) -> None:
    plain = AugmentSettings(
        rotation=RotationSettings(probability=0.0), scaling=ScalingSettings(probability=0.0), flip=ALL_AXES
    )
    cases, size = some_cases(), np.asarray(patch)
    for drawn in draw_batch(1, step, cases, patch, 4, PatchSettings(tumour_share=0.5), plain):
        corner = np.asarray(drawn.centre) - (size - 1) / 2
        spare = np.asarray(cases[drawn.case].shape) - size
        assert np.array_equal(corner, np.rint(corner))
        assert (corner >= np.minimum(0, spare)).all()
        assert (corner <= np.maximum(0, spare)).all()


def test_cases_and_classes_are_drawn_evenly() -> None:
    cases = some_cases()
    drawn = [
        draw_batch(0, s, cases, (4, 4, 4), 2, PatchSettings(tumour_share=0.5), AugmentSettings()) for s in range(900)
    ]
    on_label = np.bincount([pair[0].case for pair in drawn], minlength=4) / 900
    anywhere = np.bincount([pair[1].case for pair in drawn], minlength=4) / 900
    assert np.allclose(on_label, [1 / 3, 1 / 3, 1 / 3, 0], atol=0.06)
    assert np.allclose(anywhere, 0.25, atol=0.06)


def test_a_slice_is_turned_in_its_own_plane_only() -> None:
    for step in range(50):
        for drawn in draw(step, patch=(9, 1, 9)):
            matrix = np.asarray(drawn.matrix)
            assert np.array_equal(matrix[1], [0, 1, 0])
            assert np.array_equal(matrix[:, 1], [0, 1, 0])
            assert drawn.centre[1] == round(drawn.centre[1])


def test_a_rotation_keeps_angles_in_millimetres_and_spares_coarse_planes() -> None:
    turned = AugmentSettings(
        rotation=RotationSettings(probability=1.0, degrees=(40.0, 40.0, 40.0)),
        scaling=ScalingSettings(probability=0.0),
    )
    spacing = np.array([1.0, 2.0, 2.5])
    case = CaseShape((20, 20, 20), (1.0, 2.0, 2.5), 1, {})
    drawn = draw_batch(0, 1, [case], (8, 8, 8), 1, PatchSettings(tumour_share=0.0), turned)[0]
    in_mm = np.diag(spacing) @ np.asarray(drawn.matrix) @ np.diag(1 / spacing)
    assert np.allclose(in_mm @ in_mm.T, np.eye(3))
    assert not np.allclose(np.abs(in_mm), np.eye(3), atol=0.01)
    thick = dataclasses.replace(case, spacing_mm=(1.0, 1.0, 5.0))
    for step in range(20):
        drawn = draw_batch(0, step, [thick], (8, 8, 8), 1, PatchSettings(tumour_share=0.0), turned)[0]
        assert np.array_equal(np.asarray(drawn.matrix)[2], [0, 0, 1])


def test_one_setting_does_not_shift_the_draws_of_the_others() -> None:
    still = WILD.model_copy(update={"rotation": RotationSettings(probability=0.0)})
    patches = PatchSettings(tumour_share=0.0)
    one = draw_batch(0, 5, some_cases(), (8, 8, 8), 8, patches, WILD)
    two = draw_batch(0, 5, some_cases(), (8, 8, 8), 8, patches, still)
    assert [(d.case, d.centre, d.intensity, d.number) for d in one] == [
        (d.case, d.centre, d.intensity, d.number) for d in two
    ]
    assert one != two


def test_labelled_patches_without_any_label_are_refused() -> None:
    healthy = [CaseShape((9, 9, 9), (1.0, 1.0, 1.0), 1, {})]
    with pytest.raises(Refusal, match=r"patches\.tumour_share: a training case has labelled voxels.*tumour_share=0"):
        draw_batch(0, 1, healthy, (4, 4, 4), 2, PatchSettings(), AugmentSettings())
    assert len(draw_batch(0, 1, healthy, (4, 4, 4), 2, PatchSettings(tumour_share=0.0), AugmentSettings())) == 2


def test_each_axis_can_have_a_zoom_of_its_own() -> None:
    def zooms(share: float) -> FloatArray:
        scaling = ScalingSettings(probability=1.0, low=0.5, high=2.0, per_axis_probability=share)
        plain = AugmentSettings(
            rotation=RotationSettings(probability=0.0), flip=FlipSettings(probability=0.0), scaling=scaling
        )
        drawn = [draw_batch(0, step, some_cases(), (8, 8, 8), 1, PatchSettings(), plain)[0] for step in range(200)]
        return np.array([np.diag(np.asarray(patch.matrix)) for patch in drawn])

    alike = zooms(0.0)
    assert np.array_equal(alike, alike[:, :1].repeat(3, 1))
    assert len(np.unique(alike)) == 200
    assert len(np.unique(zooms(1.0))) == 600
    often = np.mean(np.ptp(zooms(0.3), axis=1) > 0)
    assert 0.2 < often < 0.4


@pytest.mark.parametrize(
    "values",
    [
        {"scaling": {"low": 1.4, "high": 0.7}},
        {"flip": {"axes": ("w",)}},
        {"noise": {"probability": 1.5}},
        {"low_resolution": {"high": 2.0}},
        {"elastic": {"high": 0.41}},
        {"elastic": {"spacing": 3.0}},
        {"blur": {"channel_probability": 2.0}},
    ],
)
def test_impossible_augmentation_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AugmentSettings.model_validate(values)


def test_the_labelled_voxel_lies_in_the_middle_half_of_a_patch_with_room_around() -> None:
    cases = [CaseShape((60, 60, 60), (1.0, 1.0, 1.0), 1, {1: np.full((1, 3), 30, np.int32)})]
    plain = AugmentSettings(rotation=RotationSettings(probability=0.0), scaling=ScalingSettings(probability=0.0))
    drawn = [draw_batch(0, s, cases, (8, 12, 16), 1, PatchSettings(), plain)[0] for s in range(200)]
    places = np.rint([shown_at(d, (30, 30, 30), (8, 12, 16)) for d in drawn]).astype(int)
    assert (places.min(0).tolist(), places.max(0).tolist()) == ([2, 3, 4], [5, 8, 11])
