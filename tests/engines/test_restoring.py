"""Slabs back on the scan's own voxels: the labels and maps of the whole volume, whatever the cuts."""

from __future__ import annotations

import resource
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.engines.inference.bricks import Grids
from medseg.engines.inference.contending import contenders
from medseg.engines.inference.decoding import decode
from medseg.engines.inference.frame import Activation, Slab
from medseg.engines.inference.maps import Wanted, entropy
from medseg.engines.inference.restoring import Restored, Restorer
from medseg.ops.calibration import temper
from medseg.ops.placement import Placement, restore_scores
from medseg.values.error import Refusal
from medseg.values.volume import FloatArray
from tests.engines.slabs import Shape, cut_slabs, placed, probabilities

ACTIVATIONS: list[Activation] = ["softmax", "sigmoid"]
EVERYTHING = Wanted(probabilities=True, uncertainty=True)
# Sizes along the three axes; one may be longer than a brick.
shapes = st.tuples(st.integers(1, 8), st.integers(1, 8), st.sampled_from([1, 3, 7, 12, 40, 80])).flatmap(
    lambda sizes: st.permutations(sizes).map(tuple)
)
wide = st.tuples(*[st.sampled_from([1, 2, 31, 70, 150])] * 3)
cuts = st.lists(st.integers(0, 100), max_size=6)


def painting(outputs: int, activation: Activation) -> list[tuple[int, int]]:
    """Paint regions in the order of their index, with numbers that are not their indices."""
    return [(region, outputs - region) for region in range(outputs)] if activation == "sigmoid" else []


def restored(
    scores: FloatArray,
    placement: Placement,
    activation: Activation,
    axis: int = 0,
    where: Any = (),
    wanted: Wanted | None = None,
    temperature: float = 1.0,
) -> Restored:
    order = painting(len(scores), activation)
    restorer = Restorer(placement, activation, order, wanted or Wanted(), temperature)
    for slab in cut_slabs(scores, axis, where):
        restorer.add(slab)
    return restorer.finish()


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    outputs=st.sampled_from([2, 3, 4, 5, 7, 19]),
    prepared=shapes,
    cropped=shapes,
    axis=st.integers(0, 2),
    where=cuts,
    activation=st.sampled_from(ACTIVATIONS),
    coarse=st.booleans(),
)
def test_labels_are_those_of_the_whole_volume_voxel_for_voxel(
    seed: int, outputs: int, prepared: Shape, cropped: Shape, axis: int, where: Any, activation: Any, coarse: bool
) -> None:
    scores = probabilities(seed, outputs, prepared, activation, coarse)
    before, placement = scores.copy(), placed(prepared, cropped)
    found = restored(scores, placement, activation, axis, where)
    expected = decode(restore_scores(scores, placement), activation, painting(outputs, activation))
    assert found.classes.dtype == np.uint8
    np.testing.assert_array_equal(found.classes, expected)
    assert found.probabilities is None
    assert found.uncertainty is None
    np.testing.assert_array_equal(scores, before)


def organs(outputs: int, shape: Shape) -> FloatArray:
    """Make probabilities of many classes in blocks that fade into each other."""
    index = np.stack(np.meshgrid(*[np.arange(size) for size in shape], indexing="ij"))
    middles = np.random.default_rng(1).uniform(0, 1, (outputs, 3)) * shape
    away = ((index[None] - middles[:, :, None, None, None]) ** 2).sum(1)
    near = np.exp(-(away - away.min(0)) / 8)
    return (near / near.sum(0)).astype(np.float32)


def test_of_a_hundred_classes_only_those_nearby_are_resampled() -> None:
    scores = organs(105, (24, 22, 40))
    placement = placed((24, 22, 40), (40, 44, 70))
    expected = decode(restore_scores(scores, placement), "softmax")
    assert len(np.unique(expected)) > 80
    np.testing.assert_array_equal(restored(scores, placement, "softmax", 2, (9, 20, 30)).classes, expected)
    kept = contenders(torch.from_numpy(scores[:, :8, :8, :8]), "softmax")
    assert set(np.unique(scores[:, :8, :8, :8].argmax(0))) <= set(kept)
    assert len(kept) < 20


def test_who_contends() -> None:
    def scores(*values: list[float]) -> torch.Tensor:
        return torch.tensor(values).view(len(values), 1, 1, -1)

    assert contenders(scores([0.2, 0.3], [0.8, 0.7], [0.0, 0.0]), "softmax") == [1]
    assert contenders(scores([0.9, 0.05], [0.04, 0.9], [0.06, 0.05]), "softmax") == [0, 1]
    assert contenders(scores([0.5, 0.5], [0.5, 0.5]), "softmax") == [0, 1]
    # Each of the first two is high at one end; between them the third is the best.
    assert contenders(scores([0.6, 0.0], [0.0, 0.6], [0.4, 0.4]), "softmax") == [0, 1, 2]
    assert contenders(scores([0.5, 0.4], [0.3, 0.50001]), "sigmoid") == [0, 1]
    assert contenders(scores([0.4, 0.4], [0.3, 0.2]), "sigmoid") == []


@settings(max_examples=60, deadline=None)
@given(prepared=wide, cropped=wide, axis=st.integers(0, 2))
def test_bricks_fill_the_crop_once_and_are_small_in_both_grids(prepared: Shape, cropped: Shape, axis: int) -> None:
    grids, filled = Grids(placed(prepared, cropped)), np.zeros(cropped, int)
    for brick in grids.bricks(axis, 0, grids.ready(axis, prepared[axis])):
        filled[brick.place] += 1
        for box in (brick.place, brick.source):
            assert 0 < np.prod([part.stop - part.start for part in box]) < 110_000
        assert all(part.stop <= size for part, size in zip(brick.source, prepared, strict=True))
    assert (filled == 1).all()


def test_no_slab_is_kept() -> None:
    placement = placed((12, 6, 5), (20, 9, 5))
    restorer = Restorer(placement, "softmax")
    scores = probabilities(0, 3, (12, 6, 5), "softmax")
    for slab in cut_slabs(scores, 0, (4, 7)):
        seen, storage = weakref.ref(slab.scores), slab.scores.untyped_storage().data_ptr()
        restorer.add(slab)
        assert restorer._before is not None
        kept = restorer._before.scores
        assert kept.untyped_storage().data_ptr() != storage
        assert kept.untyped_storage().nbytes() == 4 * 3 * 6 * 5
        del slab
        assert seen() is None
    assert restorer.finish().classes.shape == (20, 9, 5)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    prepared=shapes,
    cropped=shapes,
    axis=st.integers(0, 2),
    where=cuts,
    activation=st.sampled_from(ACTIVATIONS),
    temperature=st.sampled_from([0.5, 1.0, 2.5]),
)
def test_maps_are_those_of_the_whole_volume(
    seed: int, prepared: Shape, cropped: Shape, axis: int, where: Any, activation: Any, temperature: float
) -> None:
    scores, placement = probabilities(seed, 3, prepared, activation), placed(prepared, cropped)
    found = restored(scores, placement, activation, axis, where, EVERYTHING, temperature)
    whole = restore_scores(scores, placement)
    np.testing.assert_array_equal(found.classes, decode(whole, activation, painting(3, activation)))
    expected = temper(whole, temperature, activation).astype(np.float64)
    assert found.probabilities is not None
    assert found.uncertainty is not None
    assert found.probabilities.dtype == found.uncertainty.dtype == np.float16
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-3)
    np.testing.assert_allclose(found.uncertainty, uncertainty(expected, activation), atol=1e-3)


def uncertainty(scores: FloatArray, activation: Activation) -> FloatArray:
    """Return the entropy over its largest value, by its formula in float64."""
    parts = np.stack([scores, 1 - scores]) if activation == "sigmoid" else scores[None]
    parts = np.clip(parts, 1e-300, 1)
    entropy: FloatArray = -(parts * np.log(parts)).sum(0)
    return entropy.mean(0) / np.log(2) if activation == "sigmoid" else entropy.sum(0) / np.log(len(scores))


def test_each_map_comes_alone_and_in_a_folder_that_stays_empty(tmp_path: Path) -> None:
    scores, placement = probabilities(5, 4, (6, 7, 5), "softmax"), placed((6, 7, 5), (9, 7, 11))
    both = restored(scores, placement, "softmax", wanted=EVERYTHING)
    in_file = restored(scores, placement, "softmax", 1, (3,), Wanted(probabilities=True, folder=tmp_path))
    alone = restored(scores, placement, "softmax", wanted=Wanted(uncertainty=True, folder=tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert isinstance(in_file.probabilities, np.memmap)
    np.testing.assert_array_equal(in_file.probabilities, both.probabilities)
    np.testing.assert_array_equal(alone.uncertainty, both.uncertainty)
    assert in_file.uncertainty is None
    assert alone.probabilities is None


def test_maps_that_do_not_fit_on_the_disk_are_refused_before_any_work(tmp_path: Path) -> None:
    scores, placement = probabilities(5, 4, (6, 7, 5), "softmax"), placed((6, 7, 5), (90, 70, 50))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(Refusal, match=r"takes 0.00252 GB here for a while, got .*; make room, or ask"):
            restored(scores, placement, "softmax", wanted=Wanted(probabilities=True, folder=tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_slabs_that_do_not_belong_together_are_refused() -> None:
    placement = placed((6, 7, 5), (9, 7, 11))
    first, second, third = cut_slabs(probabilities(5, 4, (6, 7, 5), "softmax"), 0, (2, 4))
    restorer = Restorer(placement, "softmax")
    with pytest.raises(Refusal, match="slab: slabs together are the whole volume, got planes up to None"):
        restorer.finish()
    restorer.add(first)
    with pytest.raises(Refusal, match="slabs come in order, the next one from 2 along axis 0, got 4 along axis 0"):
        restorer.add(third)
    with pytest.raises(Refusal, match=r"a slab lies in the prepared volume \(6, 7, 5\), got \(2, 6, 5\) from 2"):
        restorer.add(Slab(0, 2, torch.zeros(4, 2, 6, 5)))
    with pytest.raises(Refusal, match=r"a slab lies in the prepared volume \(6, 7, 5\), got \(5, 7, 5\) from 2"):
        restorer.add(Slab(0, 2, torch.zeros(4, 5, 7, 5)))
    restorer.add(second)
    with pytest.raises(Refusal, match="slabs together are the whole volume, got planes up to 4"):
        restorer.finish()
    restorer.add(third)
    assert restorer.finish().classes.shape == (9, 7, 11)


def test_a_region_that_is_sure_beyond_rounding_does_not_hide_the_doubt_about_another() -> None:
    above = np.nextafter(np.float32(1), np.float32(2))
    assert entropy(torch.tensor([[above], [0.5]]), "sigmoid").item() == pytest.approx(0.5)
