"""Batches of cases that lack channels, or where not everything was annotated; and channels that are dropped."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.engines.sampling.changing.intensity import change_intensity
from medseg.engines.sampling.cutting.cut import cut
from medseg.engines.sampling.drawing.draw import CaseShape, Draw, Intensity, draw_batch
from medseg.engines.sampling.drawing.shapes import shape_of
from medseg.engines.sampling.settings import (
    AugmentSettings,
    ChannelDropoutSettings,
    FlipSettings,
    NoiseSettings,
    PatchSettings,
    RotationSettings,
)
from medseg.engines.sampling.supplying.batches import Sampler, batches
from medseg.files.prepared import PreparedCase
from medseg.values.labels import IGNORED
from medseg.values.plan import Architecture, Plan

CPU = torch.device("cpu")
PATCH = (6, 6, 6)
NOISY = AugmentSettings(
    noise=NoiseSettings(probability=1.0, low=0.5, high=0.5), rotation=RotationSettings(probability=1)
)


def dropping(probability: float | None, base: AugmentSettings = NOISY) -> AugmentSettings:
    return base.model_copy(update={"channel_dropout": ChannelDropoutSettings(probability=probability)})


def case_shape(channels: int, missing: tuple[int, ...] = ()) -> CaseShape:
    return CaseShape((9, 9, 9), (1.0, 1.0, 1.0), channels, {1: np.full((1, 3), 4, np.int32)}, missing)


def drawn(
    augment: AugmentSettings, channels: int = 4, missing: tuple[int, ...] = (), steps: int = 1, batch: int = 4
) -> list[Draw]:
    case = case_shape(channels, missing)
    found = [draw_batch(0, step, [case], PATCH, batch, PatchSettings(), augment) for step in range(1, steps + 1)]
    return [draw for row in found for draw in row]


def some_case(name: str = "a", missing: tuple[int, ...] = (), annotated: tuple[int, ...] | None = None) -> PreparedCase:
    generator = np.random.default_rng(len(name))
    image = generator.standard_normal((3, 12, 11, 10)).astype(np.float32)
    image[list(missing)] = 0
    classes = generator.choice([0, 1, 2, IGNORED], (12, 11, 10)).astype(np.uint8)
    seeds = {kind: np.argwhere(classes == kind).astype(np.int32) for kind in (1, 2)}
    return PreparedCase(name, image, classes, seeds, (1.0, 1.0, 1.0), {}, annotated, missing)


def test_dropout_is_drawn_last_and_leaves_all_other_draws_alone() -> None:
    plain, dropped = drawn(dropping(0.0), steps=10), drawn(dropping(0.5), steps=10)
    assert [replace(draw, blank=()) for draw in dropped] == plain
    assert {draw.blank for draw in plain} == {()}
    assert len({draw.blank for draw in dropped}) > 3


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5), st.integers(0, 31), st.floats(0, 1), st.integers(0, 10_000))
def test_never_all_channels_are_blank_and_missing_ones_always(n: int, bits: int, chance: float, step: int) -> None:
    missing = tuple(channel for channel in range(n) if bits >> channel & 1)[: n - 1]
    for draw in draw_batch(0, step, [case_shape(n, missing)], PATCH, 3, PatchSettings(), dropping(chance)):
        assert set(missing) <= set(draw.blank) < set(range(n))
        assert draw.blank == tuple(sorted(set(draw.blank)))


def test_channels_are_dropped_as_often_as_was_asked_for() -> None:
    draws = drawn(dropping(0.3), channels=3, steps=800)
    often = [np.mean([channel in draw.blank for draw in draws]) for channel in range(3)]
    assert np.allclose(often, 0.3 - 0.3**3 / 3, atol=0.03)
    certain = drawn(dropping(1.0), channels=3, steps=300)
    kept = [({0, 1, 2} - set(draw.blank)).pop() for draw in certain]
    assert all(len(draw.blank) == 2 for draw in certain)
    assert np.allclose(np.bincount(kept) / len(kept), 1 / 3, atol=0.06)


def test_dropout_is_off_unless_channels_may_be_missing() -> None:
    assert AugmentSettings().channel_dropout.chance == 0.0
    assert AugmentSettings().for_missing_channels().channel_dropout.chance == 0.25
    assert dropping(0.0).for_missing_channels() == dropping(0.0)
    assert dropping(0.4).for_missing_channels().channel_dropout.chance == 0.4
    kept = AugmentSettings(flip=FlipSettings(probability=0.0)).for_missing_channels()
    assert kept.model_copy(update={"channel_dropout": ChannelDropoutSettings()}) == AugmentSettings(
        flip=FlipSettings(probability=0.0)
    )


def test_a_blank_channel_is_exactly_zero_whatever_else_was_drawn() -> None:
    strong = Intensity(noise=0.5, blur=0.8, brightness=1.2, contrast=0.8, low_resolution=0.6, gamma=1.4)
    eye = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    draw = Draw(0, (0.0, 0.0, 0.0), eye, (strong, strong, Intensity()), 1, None, (0, 2))
    images = torch.randn(1, 3, 7, 8, 9, generator=torch.Generator().manual_seed(0))
    changed = change_intensity(images, [draw])
    assert not changed[0, [0, 2]].any()
    assert torch.equal(changed[0, 1], change_intensity(images, [replace(draw, blank=())])[0, 1])


def test_a_missing_channel_stays_zero_through_the_whole_row_of_batches() -> None:
    architecture = Architecture(
        dimensions=3, channels=3, outputs=3, features=(4,), strides=((1, 1, 1),), kernels=((3, 3, 3),)
    )
    plan = Plan(spacing_mm=(1.0, 1.0, 1.0), patch=PATCH, batch=4, plane=None, architecture=architecture)
    source = batches(Sampler(0, [some_case(missing=(1,))], plan, PatchSettings(), dropping(0.5)), CPU)
    taken = list(islice(source, 5))
    blank = torch.stack([batch.images.flatten(2).abs().amax(2) == 0 for batch in taken])
    assert blank[:, :, 1].all()
    assert blank[:, :, [0, 2]].any()
    assert not blank.all(2).any()
    assert all(batch.annotated is None for batch in taken)


def test_a_batch_says_which_classes_were_looked_for_in_each_sample() -> None:
    cases = [some_case("a"), some_case("bb", annotated=(2,)), some_case("ccc", annotated=())]
    eye = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    draws = [Draw(number, (5.0, 5.0, 5.0), eye, (Intensity(),) * 3, 0, None) for number in (1, 0, 2, 1)]
    annotated = cut(draws, cases, (3, 3, 3), None, CPU).annotated
    assert annotated is not None
    assert (annotated.dtype, annotated.shape) == (torch.bool, (4, 256))
    assert annotated[:, :4].tolist() == [[True, False, True, False], [True] * 4, [True, False, False, False],
                                        [True, False, True, False]]  # fmt: skip
    assert cut([draws[1]], cases, (3, 3, 3), None, CPU).annotated is None


@pytest.mark.parametrize("plane", [None, 0, 1, 2])
def test_ignored_voxels_stay_ignored_and_none_are_invented_outside(plane: int | None) -> None:
    case = some_case()
    patch = [15, 15, 15]
    if plane is not None:
        patch[plane] = 1
    turned = AugmentSettings(rotation=RotationSettings(probability=0.5, degrees=(40.0, 40.0, 40.0)))
    draws = draw_batch(0, 1, [shape_of(case)], patch, 6, PatchSettings(padding=True), turned)
    solid = replace(case, classes=np.full_like(case.classes, IGNORED), image=np.ones_like(case.image))
    found, whole = cut(draws, [case], patch, plane, CPU), cut(draws, [solid], patch, plane, CPU)
    assert set(found.classes.unique().tolist()) == {0, 1, 2, IGNORED}
    outside = whole.images[:, 0] == 0
    assert outside.any()
    assert set(whole.classes.unique().tolist()) == {0, IGNORED}
    assert not whole.classes[outside].any()
    assert (whole.classes[whole.images[:, 0] > 0.9999] == IGNORED).all()
