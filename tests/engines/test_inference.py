"""Sliding windows and decoding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from medseg.engines.inference.decoding import class_regions, decode, paint_order
from medseg.engines.inference.layout import lay_axis, lay_windows
from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.inference.windows import predict_scores
from medseg.values.error import Refusal
from medseg.values.labels import LabelScheme

CPU = torch.device("cpu")
BLENDS = st.sampled_from(["gaussian", "constant"])
sizes = st.tuples(*[st.integers(1, 9)] * 3)


class Constant(nn.Module):
    """Say the same everywhere; check that it sees windows of the right size."""

    def __init__(self, space: tuple[int, ...]) -> None:
        super().__init__()
        self.space = space

    def forward(self, x: Tensor) -> Tensor:
        if tuple(x.shape[2:]) != self.space:
            raise ValueError(f"window {tuple(x.shape)} is not {self.space}")
        levels = torch.tensor([0.3, -1.2, 2.0]).view(1, 3, *[1] * len(self.space))
        return levels.expand(len(x), 3, *self.space)


class PerVoxel(nn.Module):
    """Two logits from each voxel alone: no window can matter."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x[:, :1], -2 * x[:, :1]), 1)


class Blur(nn.Module):
    """Neighbours along every axis, the same from both sides or not."""

    def __init__(self, dimensions: int, symmetric: bool) -> None:
        super().__init__()
        weight = torch.randn(2, 1, *[3] * dimensions, generator=torch.Generator().manual_seed(3))
        if symmetric:
            for axis in range(2, weight.ndim):
                weight = weight + weight.flip(axis)
        self.weight = nn.Parameter(weight / 9)

    def forward(self, x: Tensor) -> Tensor:
        convolve = nn.functional.conv2d if x.ndim == 4 else nn.functional.conv3d
        return convolve(x, self.weight, padding=1)


def noise(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(shape=sizes, patch=sizes, overlap=st.floats(0, 0.9), blend=BLENDS, plane=st.sampled_from([None, 0, 1, 2]))
def test_a_constant_network_comes_back_constant(
    shape: Any, patch: Any, overlap: float, blend: Any, plane: int | None
) -> None:
    if plane is not None:
        patch = tuple(1 if axis == plane else n for axis, n in enumerate(patch))
    space = patch if plane is None else patch[:plane] + patch[plane + 1 :]
    chosen = InferenceSettings(overlap=overlap, blend=blend)
    scores = predict_scores(Constant(space), noise(1, *shape), patch, plane, chosen, "softmax", CPU)
    expected = torch.tensor([0.3, -1.2, 2.0]).softmax(0).numpy()[:, None, None, None]
    assert scores.shape == (3, *shape)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, np.broadcast_to(expected, scores.shape), atol=1e-6)


def test_hundreds_of_windows_over_one_voxel_still_add_up_to_one() -> None:
    chosen = InferenceSettings(overlap=0.9)
    scores = predict_scores(Constant((16, 16, 16)), noise(1, 24, 24, 24), (16, 16, 16), None, chosen, "softmax", CPU)
    np.testing.assert_allclose(scores.sum(0), 1, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(length=st.integers(1, 200), size=st.integers(1, 64), overlap=st.floats(0, 0.9), blend=BLENDS)
def test_windows_cover_an_axis_evenly_and_weigh_one_everywhere(
    length: int, size: int, overlap: float, blend: Any
) -> None:
    axis = lay_axis(length, size, overlap, blend)
    steps = np.diff(axis.starts)
    if length > size:
        assert axis.starts[0] == 0
        assert axis.starts[-1] == length - size
        assert steps.min() >= 1
        assert np.ptp(steps) <= 1
        assert steps.max() <= max(1, np.ceil(size * (1 - overlap)))
    total = np.zeros(length)
    for start, weights in zip(axis.starts, axis.weights, strict=True):
        inside = slice(max(0, -start), min(size, length - start))
        total[start + inside.start : start + inside.stop] += weights[inside]
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_a_small_image_lies_in_the_middle_of_one_window() -> None:
    (window,) = lay_windows((3, 4, 8), (8, 4, 8), 0.5, "gaussian")
    assert window.inner == (slice(0, 3), slice(0, 4), slice(0, 8))
    assert window.within == (slice(2, 5), slice(0, 4), slice(0, 8))
    assert window.weight().shape == (3, 4, 8)


def test_gaussian_weights_fall_off_with_an_eighth_of_the_window() -> None:
    axis = lay_axis(24, 16, 0.5, "gaussian")
    alone = axis.weights[0] * 0 + np.exp(-0.5 * ((np.arange(16) - 7.5) / 2) ** 2)
    np.testing.assert_allclose(axis.weights[0][8:], alone[8:] / (alone[8:] + alone[:8]), rtol=1e-5)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("plane", [None, 0, 1, 2])
def test_every_voxel_lands_where_it_came_from(activation: Any, plane: int | None) -> None:
    image = noise(2, 9, 12, 7)
    patch = [4, 5, 6]
    if plane is not None:
        patch[plane] = 1
    size = patch[0], patch[1], patch[2]
    scores = predict_scores(PerVoxel(), image, size, plane, InferenceSettings(mirror=True), activation, CPU)
    logits = torch.from_numpy(np.stack([image[0], -2 * image[0]]))
    expected = logits.softmax(0) if activation == "softmax" else logits.sigmoid()
    np.testing.assert_allclose(scores, expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("plane", [None, 1])
def test_the_batch_size_does_not_matter(plane: int | None) -> None:
    image, patch = noise(1, 20, 10, 16), (8, 8 if plane is None else 1, 8)
    network = Blur(2 if plane is not None else 3, symmetric=False)
    one, many = (
        predict_scores(network, image, patch, plane, InferenceSettings(), "softmax", CPU, memory)
        for memory in (1e-9, 4.0)
    )
    np.testing.assert_allclose(one, many, atol=1e-5)


@pytest.mark.parametrize("plane", [None, 2])
def test_mirroring_changes_nothing_for_a_symmetric_network_and_something_for_others(plane: int | None) -> None:
    image, patch = noise(1, 8, 10, 6), (8, 6, 6 if plane is None else 1)
    dimensions = 2 if plane is not None else 3
    for symmetric in (True, False):
        plain, mirrored = (
            predict_scores(
                Blur(dimensions, symmetric), image, patch, plane, InferenceSettings(mirror=mirror), "softmax", CPU
            )
            for mirror in (False, True)
        )
        assert np.allclose(plain, mirrored, atol=1e-5) == symmetric


def test_mirrored_scores_flip_with_the_image() -> None:
    image, network = noise(1, 8, 8, 8), Blur(3, symmetric=False)
    chosen = InferenceSettings(mirror=True)
    there = predict_scores(network, image, (8, 8, 8), None, chosen, "softmax", CPU)
    back = predict_scores(network, image[:, ::-1, :, ::-1], (8, 8, 8), None, chosen, "softmax", CPU)
    np.testing.assert_allclose(there, back[:, ::-1, :, ::-1], atol=1e-5)


def test_small_images_are_padded_with_zeros_on_both_sides() -> None:
    image, network = noise(1, 3, 8, 8), Blur(3, symmetric=False)
    scores = predict_scores(network, image, (8, 8, 8), None, InferenceSettings(), "softmax", CPU)
    padded = torch.from_numpy(np.pad(image, ((0, 0), (2, 3), (0, 0), (0, 0))))[None]
    np.testing.assert_allclose(scores, network(padded).softmax(1)[0, :, 2:5].detach().numpy(), atol=1e-6)


def test_image_and_modes_are_left_alone() -> None:
    image = noise(1, 6, 6, 6)
    image.flags.writeable = False
    network = nn.Sequential(nn.BatchNorm3d(1), nn.Dropout(0.5), PerVoxel())
    network[0].eval()
    first, again = (
        predict_scores(network, image, (4, 4, 4), None, InferenceSettings(), "softmax", CPU) for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    assert [module.training for module in network] == [False, True, True]
    assert network.training


def test_scores_that_are_not_finite_are_refused() -> None:
    image = noise(1, 4, 4, 4)
    image[0, 0, 0, 0] = np.nan
    with pytest.raises(Refusal, match="network: scores are finite numbers"):
        predict_scores(PerVoxel(), image, (4, 4, 4), None, InferenceSettings(), "softmax", CPU)


def test_softmax_decodes_to_the_best_class_and_the_lower_one_of_equals() -> None:
    scores = noise(5, 4, 3, 2)
    np.testing.assert_array_equal(decode(scores, "softmax"), scores.argmax(0))
    assert decode(scores, "softmax").dtype == np.uint8
    assert not decode(np.full((3, 1, 1, 1), 0.5, np.float32), "softmax").any()


BRATS = {"core": (1, 3), "whole": (1, 2, 3), "enhancing": (3,)}


def test_regions_are_painted_from_large_to_small() -> None:
    assert paint_order(BRATS) == [(1, 2), (0, 1), (2, 3)]
    mask = np.random.default_rng(0).integers(0, 4, (4, 5, 6))
    inside = np.stack([np.isin(mask, members) for members in BRATS.values()])
    scores = np.where(inside, np.float32(0.51), np.float32(0.5))
    np.testing.assert_array_equal(decode(scores, "sigmoid", paint_order(BRATS)), mask)


def test_regions_beside_each_other_are_painted_each_with_its_label() -> None:
    assert paint_order({"a": (4,), "b": (2,)}) == [(0, 4), (1, 2)]


@pytest.mark.parametrize(
    "regions", [{"all": (1, 2)}, {"all": (1, 2), "a": (1,), "b": (2,)}, {"a": (1, 2), "b": (2, 3)}]
)
def test_regions_without_one_label_of_their_own_are_refused(regions: Any) -> None:
    with pytest.raises(Refusal, match=r"data.regions.a(ll)?: with sigmoid, each region has exactly one label"):
        paint_order(regions)


def test_regions_in_class_indices() -> None:
    scheme = LabelScheme({"oedema": 2, "core": 7}, {"tumour": (2, 7), "core": (7,)}, "tumour")
    assert class_regions(scheme) == {"tumour": (1, 2), "core": (2,)}
    assert paint_order(class_regions(scheme)) == [(0, 1), (1, 2)]


@pytest.mark.parametrize("plane", [None, 0, 1, 2])
def test_only_the_axes_that_training_flipped_are_mirrored(plane: int | None) -> None:
    image = np.random.default_rng(5).normal(size=(1, 6, 6, 6)).astype(np.float32)
    patch = tuple(1 if axis == plane else 6 for axis in range(3))
    network, chosen = Blur(3 if plane is None else 2, symmetric=False), InferenceSettings(mirror=True, overlap=0.0)

    def scores(array: np.ndarray[Any, Any], settings: InferenceSettings, axes: tuple[int, ...]) -> np.ndarray[Any, Any]:
        return predict_scores(network, array, patch, plane, settings, "softmax", CPU, mirror_axes=axes)

    for axis in (axis for axis in range(3) if axis != plane):
        plain = InferenceSettings(overlap=0.0)
        flipped = np.flip(scores(np.flip(image, axis + 1).copy(), plain, ()), axis + 1)
        expected = (scores(image, plain, ()) + flipped) / 2
        assert np.allclose(scores(image, chosen, (axis,)), expected, atol=1e-6)
    assert np.array_equal(scores(image, chosen, ()), scores(image, InferenceSettings(overlap=0.0), (0, 1, 2)))
