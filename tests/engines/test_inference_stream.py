"""Slabs of sliding windows: the same numbers as the literal way, whatever the batch, the budget and the slabs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from medseg.engines.device import computing
from medseg.engines.inference.frame import Room
from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.inference.stream import stream_slabs
from medseg.engines.inference.windows import predict_slabs
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from tests.engines.window_cases import (
    CPU,
    ROOM,
    Constant,
    Counting,
    PerVoxel,
    frame,
    literal,
    network_of,
    noise,
    room_for,
    seen,
    whole,
)

PLANES = st.sampled_from([None, 0, 1, 2])
BLENDS = st.sampled_from(["gaussian", "constant"])
sizes = st.tuples(*[st.integers(1, 9)] * 3)
chosen_settings = st.builds(InferenceSettings, overlap=st.floats(0, 0.9), blend=BLENDS)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    with computing(Machine(device="cpu", threads=1)):
        yield


@settings(max_examples=60, deadline=None)
@given(shape=sizes, patch=sizes, chosen=chosen_settings, plane=PLANES, budget=st.sampled_from([1, 1 << 19, 1 << 30]))
def test_a_constant_network_comes_back_constant(
    shape: Any, patch: Any, chosen: InferenceSettings, plane: int | None, budget: int
) -> None:
    given_frame = frame(patch, plane)
    scores, doubt = whole([Constant(seen(given_frame))], noise(1, *shape), given_frame, chosen, Room(CPU, budget))
    expected = torch.tensor([0.3, -1.2, 2.0]).softmax(0).numpy()[:, None, None, None]
    assert (scores.shape, scores.dtype, doubt) == ((3, *shape), np.float32, None)
    np.testing.assert_allclose(scores, np.broadcast_to(expected, scores.shape), atol=1e-6)


def test_hundreds_of_windows_over_one_voxel_still_add_up_to_one() -> None:
    given_frame, chosen = frame((19, 19, 19), None, "sigmoid"), InferenceSettings(overlap=0.9, blend="constant")
    scores, _ = whole([Constant(seen(given_frame), [0.1])], noise(1, 24, 24, 24), given_frame, chosen)
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-0.1)), atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(
    shape=sizes,
    patch=st.tuples(*[st.integers(1, 6)] * 3),
    overlap=st.sampled_from([0, 0.25, 0.5, 0.75, 0.9]),
    blend=BLENDS,
    plane=PLANES,
)
def test_slabs_are_the_weighted_mean_of_the_literal_way(
    shape: Any, patch: Any, overlap: float, blend: Any, plane: int | None
) -> None:
    image, given_frame = noise(2, *shape)[:1], frame(patch, plane)
    network, chosen = network_of(given_frame), InferenceSettings(overlap=overlap, blend=blend)
    scores, _ = whole([network], image, given_frame, chosen)
    expected = literal(lambda x: network(x).softmax(1), image, given_frame, chosen)
    np.testing.assert_allclose(scores, expected, atol=1e-6)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("plane", [None, 0, 1, 2])
def test_every_voxel_lands_where_it_came_from(activation: Any, plane: int | None) -> None:
    image = noise(2, 9, 12, 7)
    scores, _ = whole([PerVoxel()], image, frame((4, 5, 6), plane, activation), InferenceSettings(mirror=True))
    logits = torch.from_numpy(np.stack([image[0], -2 * image[0]]))
    expected = logits.softmax(0) if activation == "softmax" else logits.sigmoid()
    np.testing.assert_allclose(scores, expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("plane", [None, 1])
def test_neither_batch_nor_budget_matters(plane: int | None) -> None:
    image, given_frame, chosen = noise(1, 20, 10, 12), frame((8, 8, 8), plane), InferenceSettings()
    found = {}
    for windows in (1, 3, 8):
        network = Counting(network_of(given_frame))
        found[windows], _ = whole([network], image, given_frame, chosen, room_for(windows, image, given_frame, chosen))
        assert set(network.sizes[1:-1]) == {windows}
    for budget in (1, 100_000, 1 << 40):
        other, _ = whole([network_of(given_frame)], image, given_frame, chosen, Room(CPU, budget))
        np.testing.assert_allclose(other, found[1], atol=1e-5)
    for other in found.values():
        np.testing.assert_allclose(other, found[1], atol=1e-5)
    in_files, _ = whole([network_of(given_frame)], image, given_frame, chosen, Room(CPU, 1))
    np.testing.assert_array_equal(in_files, found[1])


@pytest.mark.parametrize(
    ("shape", "plane", "axis"), [((20, 9, 10), None, 0), ((9, 10, 20), None, 2), ((9, 10, 20), 1, 1)]
)
def test_slabs_come_in_order_and_as_soon_as_they_are_complete(shape: Any, plane: int | None, axis: int) -> None:
    image, given_frame, chosen = noise(1, *shape), frame((8, 8, 8), plane), InferenceSettings()
    network, planes = Counting(network_of(given_frame)), []
    room, asked = room_for(1, image, given_frame, chosen), []
    for slab in stream_slabs([network], image, given_frame, chosen, room):
        assert slab.axis == axis
        assert slab.scores.is_contiguous()
        assert (slab.scores.dtype, slab.scores.device) == (torch.float32, CPU)
        assert [n for i, n in enumerate(slab.scores.shape[1:]) if i != axis] == [
            n for i, n in enumerate(shape) if i != axis
        ]
        planes += range(slab.start, slab.stop)
        asked.append((slab.stop, len(network.sizes)))
    assert planes == list(range(shape[axis]))
    if plane is None:  # 2 x 2 windows begin at each of the planes 0, 4, 8 and 12
        assert asked == [(4, 4), (8, 8), (12, 12), (16, 16), (20, 16)]
    else:  # 2 x 4 windows per plane
        assert asked == [(stop, 8 * stop) for stop in range(1, 11)]


def test_small_images_are_padded_with_zeros_on_both_sides() -> None:
    image, given_frame = noise(1, 3, 8, 8), frame((8, 8, 8))
    network = network_of(given_frame)
    scores, _ = whole([network], image, given_frame, InferenceSettings())
    padded = torch.from_numpy(np.pad(image, ((0, 0), (2, 3), (0, 0), (0, 0))))[None]
    np.testing.assert_allclose(scores, network(padded).softmax(1)[0, :, 2:5].detach().numpy(), atol=1e-6)


def test_an_image_on_the_disk_is_read_and_left_alone(tmp_path: Path) -> None:
    image, given_frame = noise(1, 12, 9, 10), frame((6, 6, 6))
    np.save(tmp_path / "image.npy", image)
    mapped = np.load(tmp_path / "image.npy", mmap_mode="r")
    for other in (mapped, image.astype(np.float64), np.asfortranarray(image)):
        found, _ = whole([PerVoxel()], other, given_frame, InferenceSettings())
        np.testing.assert_array_equal(found, whole([PerVoxel()], image, given_frame, InferenceSettings())[0])
    np.testing.assert_array_equal(np.load(tmp_path / "image.npy"), noise(1, 12, 9, 10))


def test_slabs_may_be_changed_by_whoever_takes_them() -> None:
    image, given_frame = noise(1, 20, 6, 6), frame((6, 6, 6))
    expected, _ = whole([PerVoxel()], image, given_frame, InferenceSettings())
    for slab in stream_slabs([PerVoxel()], image, given_frame, InferenceSettings(), ROOM):
        np.testing.assert_array_equal(slab.scores.numpy(), expected[:, slab.start : slab.stop])
        slab.scores.fill_(7.0)


def test_validation_gets_all_slabs_and_leaves_modes_alone() -> None:
    image, given_frame = noise(1, 6, 9, 6), frame((4, 4, 4))
    network = nn.Sequential(nn.BatchNorm3d(1), nn.Dropout(0.5), PerVoxel())
    network[0].eval()
    first = np.full((2, 6, 9, 6), np.nan, np.float32)
    for slab in predict_slabs(network, image, given_frame, InferenceSettings(), ROOM):
        first[(slice(None), *slab.place)] = slab.scores.numpy()
    assert not np.isnan(first).any()
    assert [module.training for module in network] == [False, True, True]
    assert network.training
    network.eval()
    np.testing.assert_array_equal(first, whole([network], image, given_frame, InferenceSettings())[0])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(value: float) -> None:
    image = noise(1, 20, 4, 4)
    image[0, 19, 0, 0] = value
    slabs = stream_slabs([PerVoxel()], image, frame((4, 4, 4)), InferenceSettings(), ROOM)
    assert next(slabs).start == 0
    with pytest.raises(Refusal, match="network: scores are finite numbers, got nan or infinity; train with a lower"):
        list(slabs)


@pytest.mark.parametrize("shape", [(1, 0, 4, 4), (0, 4, 4, 4), (4, 4, 4)])
def test_an_image_without_voxels_is_refused(shape: Any) -> None:
    with pytest.raises(Refusal, match=r"image: it is a non-empty \(C, X, Y, Z\), got "):
        list(stream_slabs([PerVoxel()], np.zeros(shape, np.float32), frame((4, 4, 4)), InferenceSettings(), ROOM))
