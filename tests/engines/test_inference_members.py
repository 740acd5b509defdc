"""Models of several folds and mirror images: their mean, and how far they disagree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from medseg.engines.device import computing
from medseg.engines.inference.frame import Frame
from medseg.engines.inference.members import entropy, flips_of
from medseg.engines.inference.settings import InferenceSettings
from medseg.values.machine import Machine
from tests.engines.window_cases import Blur, Constant, frame, literal, network_of, noise, seen, whole


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    with computing(Machine(device="cpu", threads=1)):
        yield


def plain(members: Any, image: Any, given: Frame, chosen: InferenceSettings) -> Any:
    return whole(members, image, given, chosen)[0]


def spread(values: Tensor, activation: str) -> Tensor:
    """Return entropies (B, 1, ...) by their definition, in float64."""
    values = values.double()
    both = [values] if activation == "softmax" else [values, 1 - values]
    terms = [torch.where(one > 0, -one * one.clamp_min(1e-300).log(), 0.0) for one in both]
    return sum(terms).sum(1, keepdim=True)


def together(members: Any, given: Frame, chosen: InferenceSettings) -> Any:
    """Return what a window's answer is by definition: the mean of all members, and their disagreement."""

    def answer(x: Tensor) -> Tensor:
        flips = flips_of(given, chosen)
        logits = [member(x.flip(flip)).flip(flip).double() for member in members for flip in flips]
        made = [one.softmax(1) if given.activation == "softmax" else one.sigmoid() for one in logits]
        mean = sum(made) / len(made)
        if chosen.average == "logits":
            mean = sum(logits) / len(logits)
            mean = mean.softmax(1) if given.activation == "softmax" else mean.sigmoid()
        own = sum(spread(one, given.activation) for one in made) / len(made)
        return torch.cat((mean, (spread(mean, given.activation) - own).clamp_min(0)), 1)

    return answer


@pytest.mark.parametrize("average", ["probabilities", "logits"])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize(("plane", "mirror", "folds"), [(None, True, 2), (None, False, 3), (1, True, 1), (2, True, 2)])
def test_members_are_averaged_and_their_doubt_is_measured(
    average: Any, activation: Any, plane: int | None, mirror: bool, folds: int
) -> None:
    image, given = noise(1, 8, 7, 4), frame((5, 5, 4), plane, activation, mirror_axes=(0, 2))
    members = [network_of(given, seed=seed) for seed in range(folds)]
    chosen = InferenceSettings(average=average, mirror=mirror)
    scores, doubt = whole(members, image, given, chosen)
    expected = literal(together(members, given, chosen), image, given, chosen)
    np.testing.assert_allclose(scores, expected[:-1], atol=2e-6)
    assert doubt is not None
    np.testing.assert_allclose(doubt, expected[-1], atol=2e-6)
    assert doubt.min() >= 0
    assert doubt.max() > 0.001


def test_who_agrees_has_no_doubt_and_who_is_alone_cannot_say() -> None:
    image, given, chosen = noise(1, 9, 9, 9), frame((6, 6, 6)), InferenceSettings()
    network = Constant(seen(given))
    scores, doubt = whole([network, network], image, given, chosen)
    assert doubt is not None
    np.testing.assert_allclose(doubt, 0, atol=1e-6)
    alone, nothing = whole([network], image, given, chosen)
    assert nothing is None
    np.testing.assert_allclose(scores, alone, atol=1e-6)


def test_two_sure_and_contrary_members_are_in_doubt_by_the_logarithm_of_two() -> None:
    image, given = noise(1, 6, 6, 6), frame((6, 6, 6))
    contrary = [Constant(seen(given), levels) for levels in ([50.0, -50.0], [-50.0, 50.0])]
    scores, doubt = whole(contrary, image, given, InferenceSettings())
    assert doubt is not None
    np.testing.assert_allclose(scores, 0.5, atol=1e-6)
    np.testing.assert_allclose(doubt, np.log(2), atol=1e-6)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_entropies_are_those_of_the_definition(activation: Any) -> None:
    values = torch.rand((2, 3, 4, 5), generator=torch.Generator().manual_seed(0))
    values[0, :, 0, 0] = torch.tensor([1.0, 0.0, 0.0])
    np.testing.assert_allclose(entropy(values, activation), spread(values, activation)[:, 0], atol=1e-6)


@pytest.mark.parametrize("plane", [None, 2])
def test_mirroring_changes_nothing_for_a_symmetric_network_and_something_for_others(plane: int | None) -> None:
    image, given = noise(1, 8, 10, 6), frame((8, 6, 6), plane)
    for symmetric in (True, False):
        network = network_of(given, symmetric=symmetric)
        once, mirrored = (plain([network], image, given, InferenceSettings(mirror=mirror)) for mirror in (False, True))
        assert np.allclose(once, mirrored, atol=1e-5) == symmetric


def test_mirrored_scores_flip_with_the_image() -> None:
    image, given, chosen = noise(1, 8, 8, 8), frame((8, 8, 8)), InferenceSettings(mirror=True)
    there = plain([Blur(3)], image, given, chosen)
    back = plain([Blur(3)], image[:, ::-1, :, ::-1], given, chosen)
    np.testing.assert_allclose(there, back[:, ::-1, :, ::-1], atol=1e-5)


@pytest.mark.parametrize("plane", [None, 0, 1, 2])
def test_only_the_axes_that_training_flipped_are_mirrored(plane: int | None) -> None:
    image = noise(1, 6, 6, 6, seed=5)
    once, mirrored = InferenceSettings(overlap=0.0), InferenceSettings(mirror=True, overlap=0.0)
    network = network_of(frame((6, 6, 6), plane))
    for axis in (axis for axis in range(3) if axis != plane):
        given = frame((6, 6, 6), plane, mirror_axes=(axis,))
        flipped = np.flip(plain([network], np.flip(image, axis + 1), given, once), axis + 1)
        expected = (plain([network], image, given, once) + flipped) / 2
        np.testing.assert_allclose(plain([network], image, given, mirrored), expected, atol=1e-6)
    never = frame((6, 6, 6), plane, mirror_axes=())
    np.testing.assert_array_equal(plain([network], image, never, mirrored), plain([network], image, never, once))
