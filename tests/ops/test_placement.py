"""Placement: what was reorientated, cropped and resampled finds its way back."""

from __future__ import annotations

import json
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from medseg.ops.orientation import to_canonical
from medseg.ops.placement import (
    Placement,
    StoredGrid,
    cropped_spacing_mm,
    place,
    prepared_affine,
    read_placement,
    restore_mask,
    restore_scores,
    restore_values,
    stored_grid,
)
from medseg.values.error import Refusal
from medseg.values.volume import FloatArray, Volume

SHAPE = (7, 6, 5)
EVERY = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]


def signed_affine(order: tuple[int, ...], signs: tuple[int, ...]) -> FloatArray:
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for world, (stored, sign) in enumerate(zip(order, signs, strict=True)):
        affine[world, stored] = sign * (1.0 + 0.3 * stored)
    affine[:3, 3] = (4.1, -30.7, 12.9)
    return affine


def grid_of(affine: FloatArray, shape: tuple[int, int, int] = SHAPE) -> StoredGrid:
    return stored_grid(Volume(np.zeros((1, *shape), np.uint8), affine))


@settings(max_examples=60)
@given(st.sampled_from(EVERY), st.integers(0, 2**32 - 1), st.data())
def test_crop_then_uncrop_is_the_identity(
    turn: tuple[tuple[int, ...], tuple[int, ...]], seed: int, data: st.DataObject
) -> None:
    affine = signed_affine(*turn)
    mask = np.random.default_rng(seed).integers(0, 4, (1, *SHAPE)).astype(np.uint8)
    canonical = to_canonical(Volume(mask, affine))
    pairs = [
        data.draw(st.tuples(st.integers(0, n - 1), st.integers(1, n)).filter(lambda p: p[0] < p[1]))
        for n in canonical.shape
    ]
    (a, d), (b, e), (c, f) = pairs
    placement = place(grid_of(affine), ((a, b, c), (d, e, f)), (d - a, e - b, f - c))
    assert placement.canonical_shape == canonical.shape
    box = np.zeros(canonical.shape, np.uint8)
    box[a:d, b:e, c:f] = canonical.voxels[0, a:d, b:e, c:f]
    back = restore_mask(canonical.voxels[0, a:d, b:e, c:f], placement)
    assert back.voxels.dtype == np.uint8
    assert back.shape == SHAPE
    assert np.array_equal(back.affine, affine)
    assert np.array_equal(to_canonical(back).voxels[0], box)
    kept = np.isin(np.arange(mask.size).reshape(SHAPE), inside_places(affine, placement))
    assert np.array_equal(back.voxels[0], np.where(kept, mask[0], 0))


def inside_places(affine: FloatArray, placement: Placement) -> list[int]:
    """Find, through world coordinates alone, the stored places of all prepared voxels."""
    index = np.stack(np.meshgrid(*map(np.arange, placement.prepared_shape), indexing="ij"), axis=-1).reshape(-1, 3)
    world = np.c_[index, np.ones(len(index))] @ prepared_affine(placement).T
    stored = np.round(world @ np.linalg.inv(affine).T)[:, :3].astype(int)
    return [int(place) for place in np.ravel_multi_index(tuple(stored.T), SHAPE)]


def test_scores_come_back_unchanged_without_resampling() -> None:
    placement = place(grid_of(np.eye(4)), ((1, 0, 2), (7, 5, 5)), (6, 5, 3))
    scores = np.random.default_rng(0).normal(size=(3, 6, 5, 3)).astype(np.float32)
    assert np.array_equal(restore_scores(scores, placement), scores)


def test_scores_are_brought_to_the_voxels_of_the_crop() -> None:
    placement = place(grid_of(np.eye(4)), ((0, 0, 0), (7, 6, 5)), (14, 3, 5))
    restored = restore_scores(np.full((2, 14, 3, 5), 0.25, np.float32), placement)
    assert restored.shape == (2, *SHAPE)
    assert np.allclose(restored, 0.25)
    assert placement.spacing_mm == (0.5, 2.0, 1.0)


@pytest.mark.parametrize(("order", "signs"), EVERY[::5])
def test_maps_go_back_where_masks_do(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    affine = signed_affine(order, signs)
    canonical = to_canonical(Volume(np.zeros((1, *SHAPE), np.uint8), affine))
    placement = place(grid_of(affine), ((1, 0, 2), (4, 5, 5)), (9, 4, 2))
    assert cropped_spacing_mm(placement) == pytest.approx(canonical.spacing_mm)
    labels = np.random.default_rng(0).integers(1, 9, placement.cropped_shape).astype(np.uint8)
    mask, shares = restore_mask(labels, placement).voxels[0], restore_values(labels / np.float16(8), placement, 0.25)
    assert shares.dtype == np.float16
    assert shares.flags.c_contiguous
    assert np.array_equal(shares, np.where(mask > 0, mask / np.float16(8), np.float16(0.25)))


@pytest.mark.parametrize(("order", "signs"), EVERY[::7])
def test_prepared_voxels_fill_the_box_of_the_crop(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    affine = signed_affine(order, signs)
    canonical = to_canonical(Volume(np.zeros((1, *SHAPE), np.uint8), affine))
    start, stop = (1, 0, 2), (4, 5, 5)
    prepared = prepared_affine(place(grid_of(affine), (start, stop), (9, 4, 2)))
    for edge, corner in ((np.array([-0.5] * 3), start), (np.array([9, 4, 2]) - 0.5, stop)):
        expected = canonical.affine @ (*(np.array(corner) - 0.5), 1)
        assert np.allclose(prepared @ (*edge, 1), expected, atol=1e-9)


def test_a_placement_goes_through_json() -> None:
    placement = place(grid_of(signed_affine((2, 0, 1), (-1, 1, -1))), ((0, 1, 0), (4, 5, 3)), (5, 5, 5))
    record = json.loads(json.dumps(placement.model_dump(mode="json")))
    assert read_placement(record) == placement
    with pytest.raises(ValidationError, match="strange"):
        read_placement({**record, "strange": 1})


def test_refusals() -> None:
    grid = grid_of(np.eye(4))
    with pytest.raises(Refusal, match=r"crop: a crop lies inside \(7, 6, 5\), got \(0, 0, 0\) to \(8, 6, 5\)"):
        place(grid, ((0, 0, 0), (8, 6, 5)), (8, 6, 5))
    placement = place(grid, ((0, 0, 0), SHAPE), SHAPE)
    with pytest.raises(Refusal, match=r"scores: the space of scores is \(7, 6, 5\), got \(2, 2, 2\)"):
        restore_scores(np.zeros((1, 2, 2, 2), np.float32), placement)
    with pytest.raises(Refusal, match=r"labels: the space of labels is \(7, 6, 5\), got \(2, 2, 2\)"):
        restore_mask(np.zeros((2, 2, 2), np.uint8), placement)
    with pytest.raises(Refusal, match=r"values: the space of values is \(7, 6, 5\), got \(2, 2, 2\)"):
        restore_values(np.zeros((2, 2, 2), np.float16), placement)
